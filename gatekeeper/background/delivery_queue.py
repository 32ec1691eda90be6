"""Carries out the jobs of the durable queue: releases, delivery reports (DSNs) and notices.

Each job is leased, sent, and its outcome written. A release goes out in parts, each a transaction with the next hop,
and its answers are committed after each part: a crash repeats at most the part that was in flight. Mail that the next
hop does not take is tried again with growing pauses for five days, then returned to its sender.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from gatekeeper.background.job_endings import FINAL, JobEndings
from gatekeeper.delivery.next_hop import NextHop
from gatekeeper.delivery.recipients import Parts, RecipientResult, Result
from gatekeeper.lib.aio import PeriodicTask, run_long
from gatekeeper.lib.allowance import Allowance
from gatekeeper.lib.failpoints import step
from gatekeeper.message import read_facts
from gatekeeper.message.hide_recipients import hide_recipients
from gatekeeper.message.own_token import HIDDEN_FIELDS, SentMail, Turn, issue_token, token_field
from gatekeeper.message.remove_fields import without_fields
from gatekeeper.model import Facts, Recipient
from gatekeeper.ops.log import Id, event
from gatekeeper.outbox import letter_lists
from gatekeeper.outbox.delivery_reports import Told
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.smtp.received import id_of
from gatekeeper.store import Connection, OutageLog, Store, StoreError, batches, jobs
from gatekeeper.store.jobs import Job, Release

log = logging.getLogger("gatekeeper.queue")
_AT_ONCE = 8  # jobs in hand
_SMALL, _MEMORY = 1 << 20, 64 << 20  # octets: of a message that needs no allowance, and of that by default
_GROUP = 500  # recipients of a release between two commits, where the next hop takes as many
_POLL = 0.5  # seconds; other processes, commands among them, queue jobs too
_LOOK_SECONDS = 15.0  # between two looks whether a next hop that did not answer is back
_POLL_WOKEN = 2.0  # seconds, where the database wakes us: what is left is jobs that become due, and leases that run out
Waiting = tuple[int, Recipient]
T = TypeVar("T")


class Claim(Enum):
    """Whether a job may send to the next group of a release."""

    OURS = auto()
    STOPPED = auto()  # the batch is held again: its permit was revoked or narrowed
    LOST = auto()  # somebody else has the job


MembersOf = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


async def _no_lists(addresses: Sequence[str]) -> Mapping[str, str]:
    return {}


@dataclass(slots=True)
class Queue:
    """Carries out jobs until it is stopped. Any number of queues, in any number of processes, share a database."""

    store: Store
    next_hop: NextHop
    letterhead: Callable[[], Letterhead]
    lease: float  # seconds
    clock: Callable[[], float] = time.time
    is_woken: Callable[[], bool] = lambda: False  # whether `poke` is called for what other processes queue
    marks: bool = False  # what is sent carries a token: the next hop may bring it back to one of our listeners
    members_of: MembersOf = _no_lists  # the lists among addresses, as they are now
    own_fields: tuple[bytes, ...] = ()  # that never go on with mail that came in
    memory: Allowance = field(default_factory=lambda: Allowance(_MEMORY))  # for large messages that are being sent
    on_failed: Callable[[str], None] = lambda kind: None  # called with the kind of each job that is given up
    _loop: asyncio.Task[None] | None = None
    _working: dict[asyncio.Task[None], int] = field(default_factory=dict)  # with the job's id
    _lapsed: dict[int, tuple[float, float]] = field(default_factory=dict)  # job: end of its lease, when first seen so
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: bool = False
    _is_down: bool = True  # the next hop took nothing when it was tried last; at the start it may have been so before
    _was_away: bool = True  # nor did it answer at the last look
    _looks: PeriodicTask = field(init=False)
    _endings: JobEndings = field(init=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the queue"))

    def __post_init__(self) -> None:
        self._looks = PeriodicTask(_LOOK_SECONDS, self._look)
        self._endings = JobEndings(lambda: self.letterhead(), lambda: self.clock())

    def poke(self) -> None:
        """Look for due jobs at once, since a job was queued."""
        self._wake.set()

    def start(self) -> None:
        """Start to carry out jobs."""
        self._loop = asyncio.create_task(self._run())
        self._looks.start()

    async def stop(self, grace: float) -> None:
        """Lease no more jobs, and let those in hand end within `grace` seconds."""
        self._ending = True
        await self._looks.stop()
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=grace)
            for task in late:
                task.cancel()  # its lease runs out, and somebody goes on where it was

    async def _run(self) -> None:
        while True:
            leased: list[Job] = []
            with self._outage.survived():
                leased = await self._lease()
            for job in leased:
                self._begin(job)
            if not leased:
                await self._pause()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_WOKEN if self.is_woken() else _POLL):
                await self._wake.wait()
        self._wake.clear()

    async def _look(self) -> None:
        """Begin the tries of all jobs anew once a next hop that did not answer does: their pauses are half an hour."""
        with contextlib.suppress(StoreError):
            if not self._is_down or not await self.store.read(partial(jobs.any_put_off, now=self.clock())):
                return
            if not await self.next_hop.answers():
                self._was_away = True
            elif self._was_away and (number := await self.store.run(partial(jobs.retry, now=self.clock()))):
                log.info("the next hop answers: %d jobs are tried again at once", number)
                self.poke()
                self._is_down = self._was_away = False

    def _note(self, results: Sequence[RecipientResult]) -> None:
        self._is_down = self._is_down or any(each.result is Result.DOWN for each in results)

    async def _lease(self) -> list[Job]:
        room = _AT_ONCE - len(self._working)
        if room <= 0:
            return []
        now = self.clock()
        due = await self.store.read(partial(jobs.any_due, now=now))
        if self._outage.lasts:  # leases have run out of those who live, and have an answer of the next hop to write
            await asyncio.sleep(2 * _POLL)
            now = self.clock()
        if not due:
            return []
        lapsed = self._recently_lapsed(await self.store.read(partial(jobs.lapsed_leases, now=now)))
        others = lapsed.union(self._working.values())
        leased = await self.store.run(partial(jobs.lease, now=now, seconds=self.lease, limit=room, in_hand=others))
        step("leased")
        return leased

    def _recently_lapsed(self, lapsed: Mapping[int, float]) -> frozenset[int]:
        """Return the jobs whose lease ran out so lately that somebody may still be at work on them.

        Whoever works renews a lease every quarter of it. A node whose clock is hours ahead sees all leases of the
        others run out: it takes a job over only where a lease stays as it is for half of its length.
        """
        now = time.monotonic()
        seen = {id: self._lapsed.get(id, (end, now)) for id, end in lapsed.items()}
        self._lapsed = {id: found if found[0] == lapsed[id] else (lapsed[id], now) for id, found in seen.items()}
        return frozenset(id for id, (_, since) in self._lapsed.items() if now - since < self.lease / 2)

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self._carry_out(job))
        self._working[task] = job.id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.pop(task, None)
        self.poke()

    async def _carry_out(self, job: Job) -> None:
        keeping = PeriodicTask(self.lease / 4, partial(self._renew, job))
        keeping.start()
        try:
            await (self._release(job) if job.kind == jobs.RELEASE else self._letter(job))
        except StoreError as error:
            log.warning("job %d waits for the database: %s", job.id, error)
        except Exception as error:
            log.exception("job %d failed", job.id)
            fault = f"a fault of the gate: {error!r}"
            self._count(await self._write(partial(self._endings.fault, job=job, error=fault)))
        finally:
            await keeping.stop()

    async def _renew(self, job: Job) -> None:
        with contextlib.suppress(StoreError):
            await self.store.run(partial(self._extend, job=job))

    def _extend(self, connection: Connection, job: Job) -> bool:
        return jobs.extend(connection, job, until=self.clock() + self.lease)

    # -- DSNs and notices ----------------------------------------------------------------------------------------

    async def _letter(self, job: Job) -> None:
        """Send a mail of the gate itself, from the null sender; a refusal causes no further mail."""
        if job.recipient is None:
            raise ValueError(f"job {job.id} has nobody to send to")
        content = job.content or await self.store.run(partial(self._compose, job=job))
        if content is None:
            return  # somebody else has written it
        if not await self.store.run(partial(self._extend, job=job)):
            return  # we were away for so long that somebody else has it
        recipient = Recipient(job.recipient, ("NOTIFY=NEVER",))
        token = await self._token(await _digest_of([content]), [recipient], job) if self.marks else b""
        (result,) = await self.next_hop.deliver("", (), [recipient], token + content)
        step("sent")
        self._note([result])
        _log_results(job, [result])
        answer = str(result.reply)
        self._count(await self._write(partial(self._endings.letter, job=job, result=result.result, reply=answer)))
        step("finished")

    def _count(self, failed: Sequence[str]) -> None:
        for kind in failed:
            log.error("a %s was given up, and stays in `gatekeeper queue`", kind)
            self.on_failed(kind)

    def _compose(self, connection: Connection, job: Job) -> bytes | None:
        return letter_lists.compose(connection, self.letterhead(), job, self.clock())

    # -- releases ------------------------------------------------------------------------------------------------

    async def _release(self, job: Job) -> None:
        release = await self.store.read(partial(jobs.open_release, batch_id=job.batch_id or 0))
        if release is None:
            await self.store.run(partial(jobs.finish, job=job))
            return
        is_small = release.size <= _SMALL
        async with contextlib.nullcontext() if is_small else self.memory.taken_for(release.size):
            await self._send_all(job, release)

    async def _send_all(self, job: Job, release: Release) -> None:
        chunks = await self.store.read(lambda c: list(batches.read_chunks(c, release.body)))
        if sum(map(len, chunks)) != release.size:
            raise ValueError("its message is not stored whole any more")
        hidden = HIDDEN_FIELDS if release.listener == "milter" else ()
        chunks = without_fields(chunks, (*self.own_fields, *hidden))
        if release.blind:
            chunks = hide_recipients(chunks)
            release = replace(release, content_digest=await _digest_of(chunks) if self.marks else "")
        step("body-read")
        told: list[Told] = []
        parts = Parts(release.waiting, min(_GROUP, self.next_hop.most_recipients or _GROUP))
        while part := parts.take():
            results = await self._send(job, release, part, chunks)
            if results is None:
                return
            beyond = [waiting for waiting, each in zip(part, results, strict=False) if each.result is Result.BEYOND]
            parts.put_back(beyond, len(part))
            told += [each for each in results if each.result is not Result.BEYOND]
            if not results or self._ending or any(each.result is Result.DOWN for each in results):
                break
        self._count(await self._write(partial(self._endings.release, job=job, release=release, told=told)))
        step("finished")

    async def _send(
        self, job: Job, release: Release, group: Sequence[Waiting], chunks: list[bytes]
    ) -> list[Told] | None:
        """Send a release to one part of its recipients, and write the answers.

        Returns [] without sending where the release was stopped, and None where another process has the job.
        """
        claimed = await self.store.run(partial(self._claim, job=job, release=release))
        if claimed is not Claim.OURS:
            return None if claimed is Claim.LOST else []
        recipients = [recipient for _, recipient in group]
        content = [await self._token(release.content_digest, recipients, job), release.trace, *chunks]
        # Point of no return: from here on this group may have it, whatever becomes of us.
        results = await self.next_hop.deliver(release.sender, release.parameters, recipients, content)
        step("sent")
        self._note(results)
        answered = [each for each in results if each.result is not Result.BEYOND]
        _log_results(job, answered, id_of(release.trace) if release.listener == "smtp" else "")
        told = [
            Told(position, recipient, each.result, str(each.reply))
            for (position, recipient), each in zip(group, results, strict=True)
        ]
        if not await self._write(partial(self._record, job=job, release=release, told=told)):
            return None
        step("recorded")
        return told

    def _claim(self, connection: Connection, job: Job, release: Release) -> Claim:
        """Check that this process still has the job and that its batch is released.

        Revoking a permit stops its batches, then waits until no lease on them is left (S5).
        """
        if not jobs.is_released(connection, release.batch_id):
            return Claim.STOPPED
        return Claim.OURS if self._extend(connection, job) else Claim.LOST

    async def _token(self, content_digest: str, recipients: Sequence[Recipient], job: Job) -> bytes:
        """Return the field by which the mail is known if it comes back; b"" where it may not, or is to too many."""
        if not self.marks:
            return b""
        addresses = tuple(each.address for each in recipients)
        mail = SentMail(content_digest, addresses, await self.members_of(addresses))
        turn = Turn.first(job.mailing)
        token = issue_token(self.store.secret, mail, turn, self.clock(), secrets.token_bytes(8))
        return token_field(token) if token else b""

    def _record(self, connection: Connection, job: Job, release: Release, told: list[Told]) -> bool:
        """Write the answers of the next hop; return True where this process still has the job.

        Answers are written even where another process has it by now: mail that was taken must not be sent again.
        """
        ours = jobs.still_ours(connection, job)
        answers = {each.position: (FINAL[Result(each.result)], each.reply) for each in told if each.result in FINAL}
        jobs.record_answers(connection, release.batch_id, answers, self.clock())
        return ours

    async def _write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction, again and again until the database is there: answers must not be lost."""
        outage = OutageLog(log, "an answer of the next hop")
        while True:
            with outage.survived():
                return await self.store.run(work)
            await asyncio.sleep(_POLL)


async def _digest_of(chunks: Sequence[bytes]) -> str:
    facts: Facts = await run_long(read_facts, b"".join(chunks))
    return facts.content_digest


def _log_results(job: Job, results: Sequence[RecipientResult], passage: str = "") -> None:
    """Log one line for each different answer of the next hop, with the number of recipients that got it.

    Args: `passage` is the id of the transaction by which a release came in, where the gate wrote its Received field.
    """
    counted: dict[tuple[str, str], int] = {}
    for each in results:
        key = (each.result.value, str(each.reply))
        counted[key] = counted.get(key, 0) + 1
    for (result, answer), number in counted.items():
        level = logging.INFO if result == Result.DELIVERED else logging.WARNING
        about = {"mailing": Id(job.mailing or "-"), "job": job.id, "status": str(result), "nrcpt": number}
        event(job.kind, {**about, "relay": answer, **({"id": passage} if passage else {})}, level)
