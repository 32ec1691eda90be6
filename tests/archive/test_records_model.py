"""Arrivals, holds, releases, shorter schedules and disposals at random, against a model (policies C1, C7, D2).

What is preserved is never gone; what is due, free and signed is gone; every act is in the chain, or in a gap that a
certificate explains. Of content, of the ledger and of acts. A few steps here;
`python -m tests.archive.test_records_model STEPS SEED [URL]` runs as many as wanted.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gatekeeper.ledger.cases import CaseWanted
from gatekeeper.ledger.context import LedgerError
from gatekeeper.ledger.preserves import PreserveWanted
from gatekeeper.store import Database, Store
from gatekeeper.store.db.schema import batches, bodies, events, mailings, requests
from gatekeeper.store.db.schema import jobs as job_rows
from tests.archive.test_destroying_ledger import acts
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
    gone: bool = False  # its content
    left: bool = False  # nothing but its line is left


@dataclass
class Asked:
    """A request as the model knows it, by the head of the sender's agency."""

    number: int
    sender: str
    topic: str
    at: float
    closed: float | None = None
    left: bool = False


@dataclass
class Kept:
    """A hold as the model knows it."""

    number: int
    wanted: PreserveWanted
    since: float
    until: float

    def covers(self, mail: Mail | Asked) -> bool:
        wanted = self.wanted
        if isinstance(mail, Mail) and mail.number in wanted.mailings:
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
    asked: dict[int, Asked] = field(default_factory=dict)
    lists: dict[int, list[str]] = field(default_factory=dict)  # proposed, and not signed yet: names
    cases: dict[int, set[int]] = field(default_factory=dict)  # open
    closed: dict[int, float] = field(default_factory=dict)  # cases
    released: dict[int, tuple[int, float]] = field(default_factory=dict)  # holds: of which case, and when
    contents: dict[int, list[str]] = field(default_factory=dict)  # the same of content
    gone_acts: int = 0
    left: set[str] = field(default_factory=set)  # cases and holds of which nothing but a line is left

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
            if any(hold.wanted.case == number for hold in self.holds.values()):
                return
            del self.cases[number]
            self.scene.service.close_case(number, RECORDS)
            self.closed[number] = self.scene.now

    async def add_to_case(self) -> None:
        if self.mails and self.cases:
            number, mail = self.chance.choice(sorted(self.cases)), self.chance.choice(sorted(self.mails))
            self.scene.service.add_to_case(number, [mail], RECORDS)
            self.cases[number].add(mail)

    async def preserve(self) -> None:
        if not self.cases:
            return
        today = self.today()
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
            self.scene.service.release_preserve(number, RECORDS, "over")
            self.released[number] = (self.holds.pop(number).wanted.case, self.scene.now)

    async def ask(self) -> None:
        sender, topic, number = self.chance.choice(SENDERS[:1]), self.chance.choice(TOPICS), len(self.asked) + 1
        planned = self.today() + timedelta(days=30)
        self.scene.ask(senders=(sender,), subject=f"{topic} {number}", planned=planned)
        self.asked[number] = Asked(number, sender, topic, self.scene.now)

    async def answer(self) -> None:
        waiting = [asked for asked in self.asked.values() if asked.closed is None]
        if waiting:
            asked = self.chance.choice(waiting)
            self.scene.service.deny_request(asked.number, CIO, "no")
            asked.closed = self.scene.now

    def today(self) -> date:
        return TODAY + timedelta(days=int((self.scene.now - NOON.timestamp()) // DAY))

    async def propose(self) -> None:
        self.proposed("held", {f"M-{number}" for number in self.mails if self.is_due(number)})

    async def propose_ledger(self) -> None:
        before = self.scene.now - LEDGER_DAYS * DAY
        due = {f"M-{mail.number}" for mail in self.mails.values() if mail.gone and self.is_over(mail, before)}
        due |= {f"R-{asked.number}" for asked in self.asked.values() if self.is_over(asked, before)}
        cases = {number for number, closed in self.closed.items() if closed < before and not self.young(number, before)}
        due |= {f"C-{number}" for number in cases}
        due |= {f"H-{number}" for number, (case, at) in self.released.items() if case in cases and at < before}
        self.proposed("ledger", due - self.left)

    def is_over(self, thing: Mail | Asked, before: float) -> bool:
        return not (thing.closed is None or thing.closed >= before or thing.left or self.is_kept(thing))

    def young(self, case: int, before: float) -> bool:
        """Whether a case has a hold in force, or one that was released since."""
        return any(own == case and at >= before for own, at in self.released.values())

    def proposed(self, name: str, due: set[str]) -> None:
        due = due - {each for listed in self.lists.values() for each in listed if each[0] != "M" or name != "held"}
        due -= {each for listed in self.contents.values() for each in listed} if name == "held" else set()
        try:
            shown = self.scene.service.propose_disposal(name, RECORDS)
        except LedgerError:
            assert due == set(), "something is due"
            return
        found = {item.name for item in shown.items}
        assert found == due, (name, found ^ due, self.keep)
        (self.contents if name == "held" else self.lists)[shown.disposal.number] = sorted(due)

    async def sign(self) -> None:
        waiting = {**self.lists, **self.contents}
        if not waiting:
            return
        number = self.chance.choice(sorted(waiting))
        self.scene.service.sign_disposal(number, AUDITOR)
        if self.chance.random() < 0.5:
            await self.preserve()
        await duty(self.scene).attend()
        of_content = number in self.contents
        for each in (self.contents if of_content else self.lists).pop(number):
            self.is_destroyed(each, of_content)

    def is_destroyed(self, name: str, of_content: bool) -> None:
        kind, number = name[0], int(name[2:])
        if kind in "CH":
            self.left.add(name)
            return
        thing = self.mails[number] if kind == "M" else self.asked[number]
        if not self.is_kept(thing):
            thing.gone, thing.left = (True, thing.left) if of_content else (True, True)

    async def destroy_acts(self) -> None:
        """Acts that vouch for nothing go while nothing is preserved; each of the others stays."""
        if self.chance.random() < 0.3:
            await self.let_all_go()
        before, kept = self.acts(), bool(self.holds) or any(self.cases.values())
        try:
            shown = self.scene.service.propose_disposal("access", RECORDS)
        except LedgerError:
            return
        assert not kept
        self.scene.service.sign_disposal(shown.disposal.number, AUDITOR)
        await duty(self.scene).attend()
        cutoff, after = self.scene.now - ACCESS_DAYS * DAY, self.acts()
        gone = [act for act in before if act not in after]
        assert gone and all(act["at"] < cutoff for act in gone)
        there = self.scene.store.call(lambda connection: set(connection.execute(select(events.c.id)).scalars()))
        assert not any("row" in act and act["row"][0] == "events" and act["row"][1] in there for act in gone)
        self.gone_acts += len(gone)

    async def let_all_go(self) -> None:
        """Release every hold and close every case; another case is open."""
        while self.holds:
            await self.release()
        await self.open_case()
        newest = max(self.cases)
        while len(self.cases) > 1:
            number = min(self.cases.keys() - {newest})
            del self.cases[number]
            self.scene.service.close_case(number, RECORDS)
            self.closed[number] = self.scene.now

    def acts(self) -> list[dict[str, Any]]:
        return acts(self.scene)

    async def withdraw(self) -> None:
        waiting = {**self.lists, **self.contents}
        if waiting:
            number = self.chance.choice(sorted(waiting))
            for lists in (self.lists, self.contents):
                lists.pop(number, None)
            self.scene.service.withdraw_disposal(number, RECORDS)

    # -- the model -----------------------------------------------------------------------------------------------

    def is_kept(self, thing: Mail | Asked) -> bool:
        in_case = isinstance(thing, Mail) and any(thing.number in items for items in self.cases.values())
        return in_case or any(hold.covers(thing) for hold in self.holds.values())

    def is_due(self, number: int) -> bool:
        mail = self.mails[number]
        old = mail.closed is not None and mail.closed < self.scene.now - self.keep * DAY
        return old and not mail.gone and not self.is_kept(mail)

    def check(self) -> None:
        """What is there is what the model has; nothing else is there."""
        there = self.scene.store.call(lambda connection: set(connection.execute(_THERE).scalars()))
        assert there == {mail.number for mail in self.mails.values() if not mail.gone}
        number = len(self.scene.store.call(lambda connection: connection.execute(select(bodies.c.digest)).all()))
        assert number == len(there)
        for table, things in ((mailings, self.mails), (requests, self.asked)):
            query = select(table.c.number).where(table.c.disposed.is_(None))
            whole = self.scene.store.call(lambda connection, query=query: set(connection.execute(query).scalars()))
            assert whole == {thing.number for thing in things.values() if not thing.left}, table.name


_THERE = (
    select(mailings.c.number)
    .join(batches, batches.c.mailing_id == mailings.c.id)
    .where(batches.c.body != b"", batches.c.body.in_(select(bodies.c.digest)))
)
_STEPS = (
    "arrive", "arrive", "arrive", "decide", "decide", "decide", "decide", "pass_time", "pass_time", "pass_time",
    "shorten", "open_case", "close_case", "add_to_case", "preserve", "release", "release", "propose", "propose",
    "propose", "sign", "sign", "sign", "withdraw", "ask", "answer", "propose_ledger", "propose_ledger", "sign", "sign",
    "destroy_acts", "pass_time",
)  # fmt: skip
LEDGER_DAYS, ACCESS_DAYS = 70, 50
_MORE = f"    ledger: {{keep: {LEDGER_DAYS}d, cite: GS7-14}}\n    access: {{keep: {ACCESS_DAYS}d, cite: GS7-12}}\n"
RULES_OF_MODEL = (
    RULES.replace("  classes:\n", "  classes:\n" + _MORE)
    .replace("held: {keep: 30d", "held: {keep: 60d")
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


@pytest.mark.parametrize("seed", [3, 4])
async def test_what_is_preserved_is_never_gone_and_what_is_due_free_and_signed_is(store, tmp_path, seed):
    world = await run(Scene(store, tmp_path, RULES_OF_MODEL), 80, seed, every=80)
    assert any(mail.gone for mail in world.mails.values())


@pytest.mark.soak
async def test_ten_thousand_steps(store, tmp_path):
    world = await run(Scene(store, tmp_path, RULES_OF_MODEL), 10_000, 11, every=1_000)
    assert sum(mail.gone for mail in world.mails.values()) > 100
    assert sum(mail.left for mail in world.mails.values()) > 100


def soak(steps: int, seed: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Database(url or lay_out(Path(folder) / "gate.db"), 60))
        store.open()
        world = asyncio.run(run(Scene(store, Path(folder), RULES_OF_MODEL), steps, seed, every=500))
        gone, left = (sum(getattr(mail, name) for mail in world.mails.values()) for name in ("gone", "left"))
        print(f"{steps} steps, seed {seed}: {len(world.mails)} mailings, content of {gone} and the ledger of {left}")
        print(f"destroyed, {world.gone_acts} acts; {len(world.holds)} holds in force")
        store.close()


if __name__ == "__main__":
    soak(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
