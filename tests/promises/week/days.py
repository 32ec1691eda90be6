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
    "automatic_reply": 0.2,
    "bounce": 0.025,
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
        letters = [
            timed for name, often in _OFTEN.items() for timed in _of_kind(post, getattr(post, name), often, size)
        ]
        if day == 1:
            letters += _timed(post.to_everybody(), chance, 9 * _HOUR, 8 * _HOUR)
        if day == 3:  # a day on which a wrong address in a mailing brings 500 reports
            letters += [timed for _ in range(500) for timed in _timed(post.bounce(), chance, 10 * _HOUR, _HOUR)]
        yield sorted(letters, key=lambda timed: timed[0])


def _of_kind(
    post: Post, make: Callable[[], Iterator[Letter]], often: float, size: int
) -> Iterator[tuple[float, Letter]]:
    for _ in range(max(1, round(often * size / DAYS))):
        begins = post.chance.uniform(7, 17) * _HOUR
        yield from _timed(make(), post.chance, begins, 2 * _HOUR)


def _timed(letters: Iterator[Letter], chance: Random, begins: float, lasts: float) -> list[tuple[float, Letter]]:
    """The first comes at once; those that follow it, in order, within so many seconds."""
    made = list(letters)
    times = sorted(chance.uniform(0, lasts) for _ in made[1:])
    return list(zip([begins, *(begins + time for time in times)], made, strict=True))
