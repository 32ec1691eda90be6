"""Plays a schedule: sends what comes, to whichever worker, while gathers end, people decide and workers die."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

from sqlalchemy import func, select

from gatekeeper.ledger.service import LedgerError, LedgerService
from gatekeeper.lifecycle import MailingState
from gatekeeper.store import Store, views
from gatekeeper.store.db.schema import jobs, mailings
from tests.promises.model import Model
from tests.promises.schedule import RETRY, Round, Schedule, Send
from tests.promises.world import PATCHED, Killed, World

_PATIENCE = 900.0  # real seconds for one schedule, on a busy machine
_TRIES = 12


@dataclass
class Play:
    """One schedule on one database."""

    schedule: Schedule
    world: World
    model: Model = field(init=False)
    rng: Random = field(init=False)
    retries: list[tuple[float, Send, int]] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.model = Model(self.world, limit=self.schedule.limit)
        self.rng = Random(f"{self.schedule.seed} play")

    async def run(self) -> None:
        async with asyncio.timeout(_PATIENCE):
            await self.world.start()
            try:
                await self._all()
            finally:
                await self.world.stop()

    async def _all(self) -> None:
        for each in self.schedule.rounds:
            self.world.now += each.pause
            await self._play(each)
        await self._settle()
        if self.schedule.calm:
            self.model.check_nobody()
        self.model.check(thoroughly=True)
        await self._decide(self.schedule.end)
        await self._settle()
        for send in self.schedule.after:
            await self._play(Round(1, (send,)))
        await self._settle()
        self.model.check(thoroughly=True)
        self.model.check_copies()
        self.model.check_settled()
        self._tally()

    # -- one round -----------------------------------------------------------------------------------------------

    async def _play(self, each: Round) -> None:
        await self.world.begin_round()
        self._change_rules(each.act)
        due = [(send, tries) for at, send, tries in self.retries if at <= self.world.elapsed]
        self.retries = [retry for retry in self.retries if retry[0] > self.world.elapsed]
        coming = [*((send, 0) for send in each.sends), *due]
        killer = self._arm(each.kill)
        sending = [self._send(send, tries) for send, tries in coming]
        await asyncio.gather(*sending, self.world.end_gathers(), self._decide(each.act), killer)
        await self.world.replace_the_dead()
        await self.world.carry_out()
        if any(send.links for send, _ in coming):
            self.model.link()
        self.model.check(thoroughly=self.rng.random() < 5 / len(self.schedule.rounds))

    def _change_rules(self, act: str) -> None:
        if act == "lower":
            self.model.limit = self.model.limit * 3 // 4
        if act in ("lower", "reload"):
            self.world.write_rules(self.model.limit)
            for worker in self.world.workers:
                worker.active_policy.reload()

    async def _arm(self, kill: str) -> None:
        victim = self.rng.choice(self.world.workers)
        if kill == "await":
            await asyncio.sleep(self.rng.uniform(0, 0.02))
            victim.kill()
        elif kill:
            victim.dies_at = kill

    async def _send(self, send: Send, tries: int) -> None:
        worker = self.rng.choice(self.world.workers)
        answer = await self.world.send(worker, send)
        self.model.answered(send, answer)
        self.figures["transactions"] += 1
        self.figures["451"] += answer is not None and answer.code == 451
        if (answer is None or answer.transient) and not send.ordinary:
            assert tries < _TRIES, f"{send.token} was put off {tries} times: {answer}"
            self.retries.append((self.world.elapsed + RETRY, send, tries + 1))

    # -- what people do ------------------------------------------------------------------------------------------

    async def _decide(self, act: str) -> None:
        if act not in ("approve", "deny", "withdraw"):
            return
        for held in await self.world.office.read(partial(views.list_mailings, state="held")):
            with suppress(LedgerError):  # of two who decide at once, one is too late
                await asyncio.to_thread(self._act, act, int(held.id[2:]))
                self.model.acts.append(act)

    def _act(self, act: str, number: int) -> None:
        service = LedgerService(self.world.office, self.world.workers[0].letterhead(), self.world.clock)
        acts = {"approve": service.approve, "deny": service.deny, "withdraw": service.withdraw}
        acts[act](number, "cio@example.gov", "it is so")

    # -- until nothing is under way ------------------------------------------------------------------------------

    async def _settle(self) -> None:
        while True:
            await self._play(Round(0))
            waits = [at - self.world.elapsed for at, _, _ in self.retries]
            if (stored := self._next_in_database()) is not None:
                waits.append(stored - self.world.now)
            if not waits:
                return
            self.world.check_wait(min(waits))
            self.world.now += max(0.01, min(waits))

    def _next_in_database(self) -> float | None:
        def read(connection):
            waits = select(jobs.c.due_at, jobs.c.lease_until).where(jobs.c.state == "due")
            times = [max(row) for row in connection.execute(waits)]
            gathering = mailings.c.state == MailingState.GATHERING
            ends = select(func.min(mailings.c.gather_until)).where(gathering, mailings.c.merged_into.is_(None))
            return min((at for at in (*times, connection.execute(ends).scalar()) if at is not None), default=None)

        return self.world.office.writer.read(read)

    def _tally(self) -> None:
        self.figures["schedules"] += 1
        self.figures["workers killed"] += self.world.kills
        self.figures["people"] += len(set().union(*(part.counted for part in self.model.parts)))
        self.figures["ended in a hold"] += bool(self.world.office.call(partial(views.list_mailings, state="held")))
        self.figures["calm"] += self.schedule.calm
        self.figures["decided"] += bool(self.model.acts)


async def play(
    schedule: Schedule, url: str, folder: Path, office: Store, stores: list[Store], patch, kind: type[World] = World
) -> Counter[str]:
    """Play a schedule to its end, with all checks; returns its figures. Raises AssertionError."""
    world = kind(url, schedule, folder / "rules.yaml", office, stores)
    for module in PATCHED:
        patch.setattr(f"gatekeeper.{module}.step", world.step)
    times = SimpleNamespace(time=time.time, monotonic=lambda: world.waited)
    patch.setattr("gatekeeper.background.delivery_queue.time", times)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unless_killed)
    game = Play(schedule, world)
    await game.run()
    return game.figures


def _unless_killed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)
