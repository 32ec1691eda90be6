"""A week of ordinary mail: at most 1 in 10,000 is held, refused, warned of or numbered for being taken for other mail.

What should become of a message is judged by its true mailing: all messages of its matter, and no others. `make test`
has a small organisation; `make soak` one of 20,000, under the shipped rules and each of the examples.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from gatekeeper import rules
from gatekeeper.background.gathering import GatherRunner
from gatekeeper.message import subject_key
from gatekeeper.model import Client, Counts, Recipient, Scope, Standing, Transaction
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline, TransactionRun
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.smtp.replies import reply
from gatekeeper.store import Database, Store, cleanup, permits
from gatekeeper.store.events import Act
from gatekeeper.store.permits import Grant
from tests.promises.week.days import week
from tests.promises.week.letters import Letter
from tests.store.arrivals import NOON
from tests.store.databases import lay_out

ROOT = Path(__file__).parents[2]
RULESETS = [ROOT / "rules.yaml", *sorted(ROOT.glob("examples/*/rules.yaml"))]
TOGETHER = 40  # messages that come at once
MIDNIGHT = NOON.timestamp() - 12 * 3600


@dataclass
class Truth:
    """The true mailings: whom each matter has reached by now."""

    users: dict[str, dict[str, str | None]] = field(default_factory=dict)
    external: dict[str, set[str]] = field(default_factory=dict)
    gathered: set[str] = field(default_factory=set)  # matters of which a part had a size that waits

    def counts(self, letter: Letter, run: TransactionRun) -> Counts:
        """The counts of the letter's matter, with the letter in them."""
        audience = run.arrival.audience
        users = self.users.setdefault(letter.matter, {})
        users.update(audience.users)
        external = self.external.setdefault(letter.matter, set())
        external |= audience.externals
        agencies = Counter(agency for agency in users.values() if agency is not None)
        return replace(Counts.of(audience), users=len(users), external=len(external), agencies=dict(agencies))


@dataclass
class Week:
    """A week under one ruleset, and what was wrong in it."""

    pipeline: Pipeline
    truth: Truth = field(default_factory=Truth)
    messages: int = 0
    wrong: Counter[str] = field(default_factory=Counter)  # kind and what became of it -> messages
    now: float = MIDNIGHT

    async def come(self, letter: Letter) -> None:
        """One message comes, and what becomes of it is compared with what should."""
        transaction = Transaction(
            listener="smtp",
            client=Client(letter.client, "mx.example.gov", "mx.example.gov"),
            sender=letter.sender,
            recipients=tuple(map(Recipient, letter.recipients)),
            content=letter.content,
            login=letter.login or None,
            authenticated=True,
        )
        runs: list[TransactionRun] = []
        await asyncio.create_task(self._receive(transaction, runs))
        (run,) = runs
        self.messages += 1
        assert run.outcome is not None, run.failure
        if became := self._wrong(letter, run):
            self.wrong[f"{letter.kind}: {became}"] += 1

    async def _receive(self, transaction: Transaction, runs: list[TransactionRun]) -> None:
        self.pipeline.report = lambda run: self.reports.pop(id(run.transaction)).append(run)
        self.reports[id(transaction)] = runs
        await self.pipeline.receive(transaction, _taken)

    reports: dict[int, list[TransactionRun]] = field(default_factory=dict)

    def _wrong(self, letter: Letter, run: TransactionRun) -> str:
        """What became of a message that should not; "" where all is as it should be."""
        counts = self.truth.counts(letter, run)
        gathering = run.arrival.gathering
        if gathering is not None and gathering.opens:
            self.truth.gathered.add(letter.matter)
        verdict, judged = run.outcome.verdict, run.judgment
        if judged is None:
            return ""
        evidence = replace(judged.evidence, counts=counts, standing=Standing(whole=True, permits=_permits(judged)))
        due = rules.judge(judged.ruleset, evidence, judged.now)
        if verdict.action.severity > due.action.severity:
            return f"{verdict.action}, {run.outcome.verdict.rules}"
        if run.outcome.gathered and letter.matter not in self.truth.gathered:
            return "gathered"
        numbered = run.outcome.mailing is not None and letter.matter not in self.truth.gathered
        return "numbered" if numbered and due.action.passes and not due.mass else ""


def _permits(judged):
    return judged.evidence.standing.permits


async def _taken(added: bytes):
    return reply(250, "ok", "2.0.0")


async def live(folder: Path, path: Path, size: int, seed: int) -> Week:
    """Let a week go by."""
    _prepare(folder, path)
    database = lay_out(folder / "gate.db")
    store = Store(Database(database, 30))
    store.open()
    try:
        active = ActivePolicy(folder / "rules.yaml")
        judging = Judging(folder / "rules.yaml", "enforce", 0, "", "gate.example.gov")
        lived = Week(Pipeline(judging, active, store))
        lived.pipeline.clock = lambda: lived.now
        gathers = GatherRunner(active, store, partial(_letterhead, active), clock=lambda: lived.now)
        await _permit(store, active)
        for day, letters in enumerate(week(active.current.ruleset, size, seed)):
            for at in range(0, len(letters), TOGETHER):
                lived.now = MIDNIGHT + day * 86_400 + letters[at][0]
                await gathers.end_due()
                await asyncio.gather(*(lived.come(letter) for _, letter in letters[at : at + TOGETHER]))
            before = lived.now - timedelta(hours=20).total_seconds()
            while await store.run(partial(cleanup.forget_ordinary, before=before)):
                pass
        return lived
    finally:
        store.close()


def _letterhead(active: ActivePolicy) -> Letterhead:
    return Letterhead(active.current.ruleset, "gate.example.gov")


def _prepare(folder: Path, path: Path) -> None:
    for name in path.parent.glob("*.txt"):
        (folder / name.name).write_bytes(name.read_bytes())
    (folder / "rules.yaml").write_text(_with_separate(path.read_text()))


def _with_separate(text: str) -> str:
    """Name the machines that send under one name, as docs/mailings.md tells admins to."""
    names = [f"tickets@{each}" for each in ("doa.example.gov", "pd.example.gov", "oak.example.org", "univ.example.edu")]
    separate = f"separate: [{', '.join(names)}, {{network: 192.0.2.0/28}}]"
    text = "\n".join(line for line in text.splitlines() if "separate: [" not in line) + "\n"
    if "\nmailing: {" in text:
        return text.replace("\nmailing: {", f"\nmailing: {{{separate}, ")
    return (
        text.replace("\nmailing:\n", f"\nmailing:\n  {separate}\n")
        if "\nmailing:\n" in text
        else f"{text}mailing: {{{separate}}}\n"
    )


async def _permit(store: Store, active: ActivePolicy) -> None:
    """The mail to everybody is approved beforehand, by all rules that hold mail."""
    ruleset = active.current.ruleset
    holding = tuple(rule.id for rule in ruleset.rules if rule.action == "hold")
    act = Act(MIDNIGHT, "cio@example.gov", "root", "it may go")
    subject = "Open enrolment begins on Monday"
    given = Grant(
        "approval",
        holding,
        Scope(agencies=frozenset(ruleset.agencies)),
        MIDNIGHT,
        MIDNIGHT + 9 * 86_400,
        subject=subject,
        subject_key=subject_key(subject),
        uses=None,
    )
    await store.run(partial(permits.grant, given=given, act=act))


def summary(lived: Week) -> str:
    """How many messages there were, and what was wrong."""
    wrong = "".join(f"\n  {number:6} {what}" for what, number in lived.wrong.most_common())
    return f"{lived.messages} messages, {sum(lived.wrong.values())} wrong{wrong}"


async def test_a_small_organisation_has_a_quiet_week(tmp_path: Path) -> None:
    lived = await live(tmp_path, RULESETS[0], 250, seed=17)
    assert not lived.wrong, summary(lived)


@pytest.mark.soak
@pytest.mark.parametrize("path", RULESETS, ids=lambda path: path.parent.name)
async def test_twenty_thousand_people(tmp_path: Path, path: Path) -> None:
    lived = await live(tmp_path, path, 20_000, seed=20261130)
    print(path.parent.name, summary(lived))
    assert sum(lived.wrong.values()) * 10_000 <= lived.messages, summary(lived)
