"""Arrivals, holds, releases, shorter schedules and disposals at random, against a model (policies C1, C7, D2).

What is preserved is never gone; what is due, free and signed is gone; every act is in the chain. A few steps here;
`python -m tests.archive.test_records_model STEPS SEED [URL]` runs as many as wanted.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.context import LedgerError
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.store import Database, Store
from gatekeeper.store.db.schema import batches, bodies, mailings
from gatekeeper.store.db.schema import jobs as job_rows
from tests.archive.test_disposing import RULES, duty, verified
from tests.ledger.scene import CIO, TODAY, Scene
from tests.ledger.test_cases import AUDITOR, RECORDS
from tests.store.arrivals import NOON
from tests.store.databases import lay_out

DAY = 86_400.0
SENDERS = [f"{name}@{agency}.example.gov" for name in ("jo", "ann") for agency in ("doa", "dphhs")]
TOPICS = ("flu", "parking", "enrolment")


def words_of(number: int) -> list[str]:
    """Words that no other mailing has, so that no two are one."""
    chance = random.Random(number)
    return ["".join(chance.choices("abcdefghijklmnoprstuvwyz", k=chance.randint(4, 9))) for _ in range(60)]


@dataclass
class Mail:
    """A mailing as the model knows it."""

    number: int
    sender: str
    topic: str
    at: float
    closed: float | None = None
    gone: bool = False


@dataclass
class Kept:
    """A hold as the model knows it."""

    number: int
    wanted: PreserveWanted
    since: float
    until: float

    def covers(self, mail: Mail) -> bool:
        wanted = self.wanted
        if mail.number in wanted.mailings:
            return True
        if not (wanted.custodians or wanted.agencies or wanted.subjects):
            return False
        end = mail.at if mail.closed is None else mail.closed
        fits = end >= self.since and mail.at <= self.until
        fits &= not wanted.custodians or mail.sender in wanted.custodians
        fits &= not wanted.agencies or mail.sender.partition("@")[2].partition(".")[0].upper() in wanted.agencies
        return fits and (not wanted.subjects or any(word in mail.topic for word in wanted.subjects))


@dataclass
class World:
    """The gate, and what the model says of it."""

    scene: Scene
    chance: random.Random
    keep: int = 60  # days
    mails: dict[int, Mail] = field(default_factory=dict)
    holds: dict[int, Kept] = field(default_factory=dict)
    lists: dict[int, list[int]] = field(default_factory=dict)  # proposed, and not signed yet
    cases: dict[int, set[int]] = field(default_factory=dict)  # open
    acts: int = 0

    # -- steps ---------------------------------------------------------------------------------------------------

    async def arrive(self) -> None:
        sender, topic = self.chance.choice(SENDERS), self.chance.choice(TOPICS)
        number = len(self.mails) + 1
        own = words_of(number)
        text = " ".join(own).encode()
        people = [f"p{number}.{each}@{agency}.example.gov" for each in range(15) for agency in ("doa", "dphhs")]
        await self.scene.send(people, sender=sender, subject=f"{topic} {own[0]} {own[1]}", text=text)
        self.mails[number] = Mail(number, sender, topic, self.scene.now)

    async def decide(self) -> None:
        waiting = [mail for mail in self.mails.values() if mail.closed is None]
        if waiting:
            mail = self.chance.choice(waiting)
            self.scene.service.deny(mail.number, CIO, "no")
            mail.closed = self.scene.now
            done = update(job_rows).values(state="done", content=None)
            self.scene.store.call(lambda connection: connection.execute(done))

    async def pass_time(self) -> None:
        self.scene.now += self.chance.choice((0.5, 10, 40)) * DAY

    async def shorten(self) -> None:
        """The schedule changes: a shorter one destroys nothing by itself."""
        self.keep = self.chance.choice((10, 30, 60))
        path = self.scene.active_policy.path
        path.write_text(RULES_OF_MODEL.replace("{keep: 60d", f"{{keep: {self.keep}d"))
        self.scene.active_policy = type(self.scene.active_policy)(path)

    async def open_case(self) -> None:
        kind = self.chance.choice(("request", "investigation"))
        number = int(self.scene.service.open_case(CaseWanted("A case", kind), RECORDS).case.id[2:])
        self.cases[number] = set()

    async def close_case(self) -> None:
        if len(self.cases) > 1:
            number = self.chance.choice(sorted(self.cases))
            del self.cases[number]
            self.scene.service.close_case(number, RECORDS)

    async def add_to_case(self) -> None:
        if self.mails and self.cases:
            number, mail = self.chance.choice(sorted(self.cases)), self.chance.choice(sorted(self.mails))
            self.scene.service.add_to_case(number, [mail], RECORDS)
            self.cases[number].add(mail)

    async def preserve(self) -> None:
        if not self.cases:
            return
        today = TODAY + timedelta(days=int((self.scene.now - NOON.timestamp()) // DAY))
        some = lambda values: tuple(self.chance.sample(values, 1)) if self.chance.random() < 0.5 else ()  # noqa: E731
        wanted = PreserveWanted(
            self.chance.choice(sorted(self.cases)),
            custodians=some(SENDERS),
            agencies=some(("DOA", "DPHHS")),
            subjects=some(TOPICS),
            mailings=some(sorted(self.mails) or [1]) if self.mails else (),
            since=today - timedelta(days=self.chance.randint(0, 40)) if self.chance.random() < 0.3 else None,
            silent=True,
        )
        if not (wanted.custodians or wanted.agencies or wanted.subjects or wanted.mailings):
            return
        hold = self.scene.service.preserve(wanted, RECORDS, "a lawsuit").hold
        since = float("-inf") if hold.scope.since is None else hold.scope.since
        self.holds[int(hold.id[2:])] = Kept(int(hold.id[2:]), wanted, since, float("inf"))

    async def release(self) -> None:
        if self.holds:
            number = self.chance.choice(sorted(self.holds))
            del self.holds[number]
            self.scene.service.release_preserve(number, RECORDS, "over")

    async def propose(self) -> None:
        listed = {number for numbers in self.lists.values() for number in numbers}
        due = sorted(number for number in self.mails if self.is_due(number) and number not in listed)
        try:
            shown = self.scene.service.propose_disposal("held", RECORDS)
        except LedgerError:
            assert due == [], "something is due"
            return
        found = [int(item.mailing[2:]) for item in shown.items]
        assert found == due, (set(found) ^ set(due), [self.mails[each] for each in set(found) ^ set(due)], self.keep)
        self.lists[shown.disposal.number] = due

    async def sign(self) -> None:
        if self.lists:
            number = self.chance.choice(sorted(self.lists))
            self.scene.service.sign_disposal(number, AUDITOR)
            if self.chance.random() < 0.5:
                await self.preserve()
            await duty(self.scene).attend()
            for each in self.lists.pop(number):
                self.mails[each].gone |= not self.is_kept(each)

    async def withdraw(self) -> None:
        if self.lists:
            number = self.chance.choice(sorted(self.lists))
            del self.lists[number]
            self.scene.service.withdraw_disposal(number, RECORDS)

    # -- the model -----------------------------------------------------------------------------------------------

    def is_kept(self, number: int) -> bool:
        mail = self.mails[number]
        in_case = any(number in items for items in self.cases.values())
        return in_case or any(hold.covers(mail) for hold in self.holds.values())

    def is_due(self, number: int) -> bool:
        mail = self.mails[number]
        old = mail.closed is not None and mail.closed < self.scene.now - self.keep * DAY
        return old and not mail.gone and not self.is_kept(number)

    def check(self) -> None:
        """What is there is what the model has; nothing else is there."""
        there = self.scene.store.call(lambda connection: set(connection.execute(_THERE).scalars()))
        assert there == {mail.number for mail in self.mails.values() if not mail.gone}
        number = len(self.scene.store.call(lambda connection: connection.execute(select(bodies.c.digest)).all()))
        assert number == len(there)


_THERE = (
    select(mailings.c.number)
    .join(batches, batches.c.mailing_id == mailings.c.id)
    .where(batches.c.body != b"", batches.c.body.in_(select(bodies.c.digest)))
)
_STEPS = (
    "arrive", "arrive", "arrive", "decide", "decide", "decide", "decide", "pass_time", "pass_time", "pass_time",
    "shorten", "open_case", "close_case", "add_to_case", "preserve", "release", "release", "propose", "propose",
    "propose", "sign", "sign", "sign", "withdraw",
)  # fmt: skip
RULES_OF_MODEL = (
    RULES.replace("held: {keep: 30d", "held: {keep: 60d")
    .replace("gather: {from: 20, quiet: 1s, limit: 5s}", "gather: off")
    .replace("users: {over: 200}", "users: {over: 20}")
)


async def run(scene: Scene, steps: int, seed: int, every: int = 25) -> World:
    """Take so many steps; the model is compared after each, the chains now and then."""
    world = World(scene, random.Random(seed))
    await world.open_case()
    for number in range(steps):
        step = world.chance.choice(_STEPS)
        await getattr(world, step)()
        world.check()
        if number % every == every - 1:
            problems, _ = verified(scene)
            assert problems == [], (number, step)
    return world


@pytest.mark.parametrize("seed", [2, 3])
async def test_what_is_preserved_is_never_gone_and_what_is_due_free_and_signed_is(store, tmp_path, seed):
    world = await run(Scene(store, tmp_path, RULES_OF_MODEL), 70, seed, every=70)
    assert any(mail.gone for mail in world.mails.values())


@pytest.mark.soak
async def test_ten_thousand_steps(store, tmp_path):
    world = await run(Scene(store, tmp_path, RULES_OF_MODEL), 10_000, 11, every=1_000)
    assert sum(mail.gone for mail in world.mails.values()) > 100


def soak(steps: int, seed: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Database(url or lay_out(Path(folder) / "gate.db"), 60))
        store.open()
        world = asyncio.run(run(Scene(store, Path(folder), RULES_OF_MODEL), steps, seed, every=500))
        gone = sum(mail.gone for mail in world.mails.values())
        print(f"{steps} steps, seed {seed}: {len(world.mails)} mailings, {gone} destroyed, {len(world.holds)} holds")
        store.close()


if __name__ == "__main__":
    soak(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
