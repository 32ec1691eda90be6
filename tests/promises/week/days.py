"""Put a week together: how much of each kind of mail there is, and when it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from gatekeeper.rules import Ruleset
from tests.promises.week.letters import Letter, Post
from tests.promises.week.organisation import Organisation

DAYS = 5
_HOUR = 3600.0
# occasions for each person and week; each has from one message to some dozens
_OFTEN: dict[str, float] = {
    "conversation": 2.5,
    "short": 2.0,
    "file": 0.4,
    "link": 0.2,
    "shared_mailbox": 0.3,
    "invitation": 0.3,
    "absence": 0.02,
    "scan": 0.3,
    "ticket": 0.15,
    "case_letter": 0.05,
    "cron": 0.075,
    "monitoring": 0.125,
    "list_post": 0.01,
    "forwarded": 0.002,
    "newsletter": 0.0005,
    "thanks": 0.001,
}


def week(ruleset: Ruleset, size: int, seed: int) -> Iterator[list[tuple[float, Letter]]]:
    """Yield the letters of each of five days, each with the second of the day at which it comes, in order."""
    chance = Random(seed)
    post = Post(Organisation(ruleset, size, chance))
    for day in range(DAYS):
        kinds = (_of_kind(post, getattr(post, name), often * size) for name, often in _OFTEN.items())
        letters = [timed for kind in kinds for timed in kind]
        if day == 1:
            letters += _timed(post.to_everybody(), chance, 9 * _HOUR, 8 * _HOUR)
        wrong = 500 if day == 3 else 0  # a day on which a wrong address brings 500 reports
        letters += _answers(post, post.bounce, letters, round(0.005 * size) + wrong)
        letters += _answers(post, post.automatic_reply, letters, round(0.04 * size))
        yield sorted(letters, key=lambda timed: timed[0])


def _answers(
    post: Post, make: Callable[[Letter], Iterator[Letter]], letters: list[tuple[float, Letter]], number: int
) -> list[tuple[float, Letter]]:
    """Answers of machines, some minutes after what they answer."""
    answered = [timed for timed in letters if timed[1].message_id]
    chosen = post.chance.choices(answered, k=number)
    return [each for at, of in chosen for each in _timed(make(of), post.chance, at + post.chance.uniform(60, 600), 0)]


def _of_kind(post: Post, make: Callable[[], Iterator[Letter]], a_week: float) -> Iterator[tuple[float, Letter]]:
    for _ in range(max(1, round(a_week / DAYS))):
        begins = post.chance.uniform(7, 17) * _HOUR
        yield from _timed(make(), post.chance, begins, 2 * _HOUR)


def _timed(letters: Iterator[Letter], chance: Random, begins: float, lasts: float) -> list[tuple[float, Letter]]:
    """The first comes at once; those that follow it, in order, within so many seconds."""
    made = list(letters)
    times = sorted(chance.uniform(0, lasts) for _ in made[1:])
    return list(zip([begins, *(begins + time for time in times)], made, strict=True))
