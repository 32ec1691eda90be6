"""Workers on one database, a next hop that remembers all it is given, and a time that goes on when it is told to.

A worker is what a process of the gate is inside: a store with a writer thread of its own, a pipeline, gathers and a
queue. Killed, it never takes another step: its tasks are cut off where they wait, and what its writer had not begun to
commit is gone.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from sqlalchemy import delete, select

from gatekeeper.background.delivery_queue import Queue
from gatekeeper.background.gathering import GatherRunner
from gatekeeper.delivery.recipients import RecipientResult, Result
from gatekeeper.lifecycle import RecipientState
from gatekeeper.model import Recipient
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline.pipeline import Pipeline, TransactionRun
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from gatekeeper.smtp.replies import Reply, reply
from gatekeeper.store import Connection, Database, Store, jobs
from gatekeeper.store.db.schema import batch_recipients, batches, mailings, metadata
from gatekeeper.store.db.schema import jobs as jobs_table
from tests.promises.schedule import Schedule, Send
from tests.store.arrivals import NOON

TAKEN, LATER = reply(250, "queued", "2.0.0"), reply(451, "try again", "4.3.0")
LEASE = 60.0  # seconds
PATCHED = ("store", "pipeline.pipeline", "background.gathering", "background.delivery_queue", "ledger.service")
RULES = """\
version: 1
title: Mass electronic mail
contact: servicedesk@example.gov
timezone: UTC
agencies:
  DOA: {{name: Administration, domains: [doa.example.gov]}}
  DPHHS: {{name: Health, domains: [dphhs.example.gov]}}
lists:
{lists}senders:
  head@doa.example.gov: {{used_by: [news-bounces@doa.example.gov]}}
people:
  cio@example.gov: {{roles: [approver, admin], final: true}}
mailing: {{source: {source}, within: 24h, gather: {gather}}}
mass: {{people: {{over: {mass}}}}}
rules:
  - id: approval
    when: {{users: {{over: {limit}}}, agencies: {{over: 1}}}}
    then: hold
    say: This mailing reaches {{users}} users.
"""
_REPORT = re.compile(rb"^Content-Type: multipart/report(?s:.*?)\b(M-\d+)\b", re.M)
T = TypeVar("T")
acting: ContextVar[Worker | None] = ContextVar("acting", default=None)


class Killed(BaseException):
    """The process is gone; nothing in the gate may catch this."""


class Hop:
    """The next hop: what it was given, by token; now and then it has no time."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.tried: set[str] = set()  # by relay, whatever it answered: the gate counts them as reached
        self.relayed = Counter[str]()
        self.copies = Counter[tuple[str, str]]()  # (token, recipient)
        self.delivered: dict[Worker, set[tuple[str, str]]] = {}  # of what was kept, by whom
        self.letters: list[str] = []
        self._asked = Counter[object]()

    def busy(self, what: object) -> bool:
        self._asked[what] += 1
        chance = Random(f"{self.schedule.seed} {what} {self._asked[what]}").random()
        return self.schedule.busy and self._asked[what] < 6 and chance < 0.1

    async def relay(self, send: Send) -> Reply:
        await asyncio.sleep(0)
        self.tried.add(send.token)
        if self.busy(send.token):
            return LATER
        self.relayed[send.token] += 1
        self.copies.update((send.token, recipient.address) for recipient in send.transaction.recipients)
        await asyncio.sleep(0)
        return TAKEN

    most_recipients = None

    async def deliver(
        self, sender: str, parameters: Sequence[str], recipients: Sequence[Recipient], content: object
    ) -> tuple[RecipientResult, ...]:
        await asyncio.sleep(0)
        token = next((each[6:] for each in parameters if each.startswith("ENVID=")), "")
        if not sender and not token:
            self.letters += [recipient.address for recipient in recipients]
            found = _REPORT.search(bytes(content)) if isinstance(content, bytes | memoryview) else None
            is_end = found and b"Action: delayed" not in bytes(content)  # that it is late may be told besides
            token = f"report {found[1].decode()}" if is_end else ""
        results = [self._result(token, recipient) for recipient in recipients]
        taken = [(token, each.recipient.address) for each in results if each.result is Result.DELIVERED]
        self.copies.update(taken)
        self.delivered.setdefault(acting.get(), set()).update(taken)
        await asyncio.sleep(0)
        return tuple(results)

    def _result(self, token: str, recipient: Recipient) -> RecipientResult:
        busy = self.busy((token, recipient.address))
        return RecipientResult(recipient, Result.DEFERRED if busy else Result.DELIVERED, LATER if busy else TAKEN)


class _Gone:
    """The writer of a worker that is no more."""

    async def submit(self, *_: object) -> None:
        raise Killed

    submit_to = submit

    def read(self, *_: object) -> None:
        raise Killed


class Worker:
    """One process of the gate."""

    def __init__(self, world: World, store: Store) -> None:
        self.world, self.store, self.alive = world, store, True
        self.dies_at = ""
        self._writer = store.writer
        self.active_policy = ActivePolicy(world.rules)
        judging = Judging(world.rules, "enforce", 0, "", "gate.example.gov")
        clock = world.clock_of(store)
        self.pipeline = Pipeline(judging, self.active_policy, store, report=world.passed, clock=clock)
        self.queue = Queue(store, world.hop, self.letterhead, LEASE, clock=clock)
        self.gathers = GatherRunner(self.active_policy, store, self.letterhead, on_queued=self.queue.poke, clock=clock)

    def letterhead(self) -> Letterhead:
        return Letterhead(self.active_policy.current.ruleset, "gate.example.gov")

    async def do(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do something as this worker; None where it was killed over it."""
        token = acting.set(self)
        try:
            return await work()
        except (Killed, asyncio.CancelledError):
            if self.alive and (here := asyncio.current_task()) and here.cancelling():
                raise  # the whole schedule is given up
            assert not self.alive, "cut off without a kill"
            return None
        finally:
            acting.reset(token)

    def kill(self) -> None:
        if not self.alive:
            return
        self.alive, self.dies_at = False, ""
        self.store.writer = _Gone()
        for task in (*self.pipeline.tasks._running, *self.queue._working, self.queue._loop):
            if task and task is not asyncio.current_task():
                task.cancel()

    async def bury(self) -> None:
        """Let what was being committed be committed; nothing else of it is."""
        await asyncio.sleep(0)
        await asyncio.to_thread(self._writer.stop)
        self.store.database.dispose()


@dataclass
class World:
    """All workers, now."""

    url: str
    schedule: Schedule
    rules: Path
    office: Store  # of those who look and decide
    stores: list[Store]  # of the workers; opened when they are needed
    now: float = NOON.timestamp()
    workers: list[Worker] = field(default_factory=list)
    passages: dict[str, list[TransactionRun]] = field(default_factory=dict)
    kills: int = 0
    waited: float = 0.0  # seconds that passed while nobody took up what was due
    in_flight: Counter[tuple[str, str]] = field(default_factory=Counter)  # taken, and not written down before a kill
    hop: Hop = field(init=False)

    def __post_init__(self) -> None:
        self.hop = Hop(self.schedule)
        self.write_rules(self.schedule.limit)

    def clock(self) -> float:
        return self.now

    @property
    def elapsed(self) -> float:
        """The time by which clients try again: whatever becomes of the gate's."""
        return self.now

    def clock_of(self, store: Store) -> Callable[[], float]:
        """What a worker goes by; all go by the same here."""
        return self.clock

    async def begin_round(self) -> None:
        """Before anything else of a round; nothing here."""

    def idle(self, seconds: float) -> None:
        """Let time pass in which nobody does what is due: it may still be in somebody's hands."""
        self.waited += seconds

    def check_wait(self, seconds: float) -> None:
        """What is next is so far ahead; here whatever it is."""

    def write_rules(self, limit: int) -> None:
        members = {name: ", ".join(people) for name, people in self.schedule.lists.items()}
        lists = "".join(f"  {name}: {{members: [{people}]}}\n" for name, people in members.items())
        mass = max(1, self.schedule.limit // 10)
        source = "agency" if self.schedule.joined_by == "agency" else "sender"
        text = RULES.format(lists=lists, source=source, gather=self.schedule.gather, mass=mass, limit=limit)
        self.rules.write_text(text)

    def passed(self, run: TransactionRun) -> None:
        token = run.transaction.parameters[0].partition("=")[2]
        self.passages.setdefault(token, []).append(run)

    # -- workers -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.office.call(_empty)
        while len(self.workers) < self.schedule.workers:
            await self._hire(len(self.workers))

    async def _hire(self, place: int) -> None:
        if place == len(self.stores):
            self.stores.append(await asyncio.to_thread(open_store, self.url))
        worker = Worker(self, self.stores[place])
        self.workers[place : place + 1] = [worker]
        await asyncio.create_task(self._begin(worker))

    async def _begin(self, worker: Worker) -> None:
        acting.set(worker)  # what the queue starts is done as this worker
        worker.queue.start()

    async def replace_the_dead(self) -> None:
        for place, worker in enumerate(self.workers):
            if not worker.alive:
                self.kills += 1
                await worker.bury()
                waiting = await self.office.read(_waiting)
                self.in_flight.update(self.hop.delivered.pop(worker, set()) & waiting)
                self.stores[place] = await asyncio.to_thread(open_store, self.url)
                await self._hire(place)

    async def stop(self) -> None:
        for worker in self.workers:
            worker.dies_at = ""
            await worker.queue.stop(10)

    def step(self, name: str) -> None:
        """What faults.step is: the end of a worker that was to die here."""
        worker = acting.get()
        if worker is None:
            return
        if name == worker.dies_at:
            worker.kill()
        if not worker.alive:
            raise Killed

    # -- what they do --------------------------------------------------------------------------------------------

    async def send(self, worker: Worker, send: Send) -> Reply | None:
        """The reply to a transaction; None where its client lost the connection."""
        receiving = worker.pipeline.receive
        return await worker.do(lambda: asyncio.create_task(receiving(send.transaction, partial(self._relay, send))))

    async def _relay(self, send: Send, _added: bytes) -> Reply:
        return await self.hop.relay(send)

    async def end_gathers(self) -> None:
        await asyncio.gather(*(worker.do(worker.gathers.end_due) for worker in self.workers))

    async def carry_out(self) -> None:
        """Until no job is due and none is in hand."""
        while True:
            due = await self.office.read(partial(jobs.any_due, now=self.now))
            if not due and not any(worker.queue._working for worker in self.workers):
                return
            for worker in self.workers:
                worker.queue.poke()
            await asyncio.sleep(0.01)
            if not any(worker.queue._working for worker in self.workers):
                self.idle(1.0)
            await self.replace_the_dead()


def _waiting(connection: Connection) -> set[tuple[str, str]]:
    """Tokens and recipients whose batch or report is on its way, and of whom nothing is written down."""
    query = select(batches.c.parameters, batch_recipients.c.address).join(batches)
    query = query.where(batch_recipients.c.state == RecipientState.WAITING)
    found = {(row.parameters[0].partition("=")[2], row.address) for row in connection.execute(query)}
    reports = select(mailings.c.number, jobs_table.c.recipient).join(mailings)
    reports = reports.where(jobs_table.c.kind == jobs.DSN, jobs_table.c.state == "due")
    return found | {(f"report M-{number}", recipient) for number, recipient in connection.execute(reports)}


def open_store(url: str) -> Store:
    store = Store(Database(url, timeout=10))
    store.open()
    return store


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        if table.name != "secrets":
            connection.execute(delete(table))
