"""Destroys what is signed, a slice at a time beside mail, and what the schedule destroys without a signature.

After a kill it goes on where it was: an item is destroyed, or listed still. The certificate is written once all files
of the database are cleared of what was in them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gatekeeper.archive.certificate import certificate, digest_of
from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import DisposalState
from gatekeeper.rules import Ruleset
from gatekeeper.rules.record_classes import ACCESS, AUTOMATIC, CERTIFICATES, CLOSED, HELD, LEDGER, MASS
from gatekeeper.store import Connection, OutageLog, Store, disposals, due_lists, texts
from gatekeeper.store.destroying import destroy_slice
from gatekeeper.store.disposals import DisposalView, Found, NewDisposal
from gatekeeper.store.due import Age
from gatekeeper.store.events import GATE, Act
from gatekeeper.store.matters_due import CERTIFICATE, OF_LEDGER

log = logging.getLogger("gatekeeper.records")
FINDS: Mapping[str, Callable[..., list[Found]]] = {  # class -> what finds what of it is due, by its age
    HELD: partial(due_lists.contents, passed=False),
    MASS: partial(due_lists.contents, passed=True),
    LEDGER: partial(due_lists.matters, kinds=OF_LEDGER),
    ACCESS: due_lists.acts,
    CERTIFICATES: partial(due_lists.matters, kinds=(CERTIFICATE,)),
}
_SECONDS = 5.0
_SLICE, _LEAST_SLICE = 25, 5  # items of a slice at most, and at least: fewer take nearly as long
_HOLD_SECONDS = 0.005  # that a slice may keep the writer, for which mail waits
_SHARE = 0.03  # of the time in which a slice is at work: what mail may lose by it
_LEAST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 1.0
_PART = 500  # items of a part of a list
_LISTING_SECONDS = 3_600.0  # that a list may take to be made
_DAY_SECONDS = 86_400.0  # between two lists that need no signature, of one class


@dataclass(slots=True)
class Pace:
    """How much a slice has, and how long mail has the writer for itself after it: by how long slices took."""

    share: float = _SHARE
    limit: int = field(default_factory=lambda: _LEAST_SLICE)  # items of the next slice
    pause: float = _LEAST_PAUSE_SECONDS

    def taken(self, connection: Connection, work: Callable[..., int]) -> int:
        """Do a slice of work in the writer's turn; return how much it did."""
        began = time.perf_counter()
        done = work(connection, limit=self.limit)
        self.note(time.perf_counter() - began)
        return done

    def note(self, seconds: float) -> None:
        """Take the next slice smaller where this one kept the writer too long, else larger."""
        wanted = self.limit // 2 if seconds > _HOLD_SECONDS else self.limit + 1
        self.limit = min(_SLICE, max(_LEAST_SLICE, wanted))
        self.pause = min(max(_LEAST_PAUSE_SECONDS, seconds / self.share), _LONGEST_PAUSE_SECONDS)


@dataclass(slots=True)
class Disposing:
    """The duty of an office; any number of these share a database."""

    ruleset: Callable[[], Ruleset]
    store: Store
    clock: Callable[[], float]
    share: float = _SHARE  # of the time, that it may keep the writer
    _periodic: PeriodicTask = field(init=False, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "disposal"), repr=False)

    def __post_init__(self) -> None:
        self._periodic = PeriodicTask(_SECONDS, self.attend)

    def start(self) -> None:
        """Work from now on."""
        self._periodic.start()

    async def stop(self) -> None:
        """Work no more; what is begun goes on after the next start."""
        await self._periodic.stop()

    async def attend(self) -> None:
        """List what needs no signature, and destroy what is signed."""
        with self._outage.survived():
            await self._abandon()
            for name in FINDS:
                await self._list(name)
            signed = partial(disposals.list_disposals, state=DisposalState.SIGNED)
            for disposal in reversed(await self.store.read(signed)):
                await self._destroy(disposal)

    async def _abandon(self) -> None:
        """Withdraw lists that were never completed: whoever made them was killed."""
        now = self.clock()
        for disposal in await self.store.read(partial(disposals.list_disposals, state=DisposalState.LISTING)):
            if disposal.proposed_at < now - _LISTING_SECONDS:
                act = Act(now, "", GATE, "its list was never completed")
                await self.store.run(partial(_withdraw, number=disposal.number, act=act))

    # -- without a signature -------------------------------------------------------------------------------------

    async def _list(self, name: str) -> None:
        """List what of a class is due, once a day, where the schedule destroys it without a signature."""
        ruleset, now = self.ruleset(), self.clock()
        age = age_of(ruleset, name, now)
        if ruleset.record_class(name).dispose != AUTOMATIC or age is None:
            return
        newest = await self.store.read(partial(disposals.newest_of, name=name))
        if newest is not None and now - newest < _DAY_SECONDS:
            return
        found = await self.store.read(partial(FINDS[name], age=age))
        if found:
            await self._write_list(wanted(ruleset, name, age, automatic=True), found, now)

    async def _write_list(self, new: NewDisposal, found: list[Found], now: float) -> None:
        act = Act(now, "", GATE)
        number = await self.store.run(partial(_begin, new=new, act=act))
        if number is None:
            return
        for first in range(0, len(found), _PART):
            part = found[first : first + _PART]
            await self.store.run(partial(disposals.add_items, number=number, first=first, found=part))
            step("disposal-listed")
        await self.store.run(partial(_freeze, number=number, digest=disposals.digest_of(found), act=act))

    # -- what is signed ------------------------------------------------------------------------------------------

    async def _destroy(self, disposal: DisposalView) -> None:
        pace = Pace(self.share)
        while await self.store.run(partial(pace.taken, work=self._slice(disposal))):
            step("disposal-slice")
            await asyncio.sleep(pace.pause)
        await self._clear_words()
        if not await asyncio.to_thread(self.store.database.clear):
            return  # somebody reads or writes at this moment: at the next look
        step("disposal-cleared")
        now = self.clock()
        document = await self.store.read(partial(self._certificate, number=disposal.number, now=now))
        finish = partial(disposals.finish, number=disposal.number, certificate=digest_of(document), now=now)
        if await self.store.run(finish):
            step("disposal-done")
            number, left = document["destroyed"], document["kept"]
            log.info("%s: %d of class %s destroyed, %d kept", disposal.id, number, disposal.name, left)

    async def _clear_words(self) -> None:
        """Clear the index of words of those that were removed, a step at a time."""
        pace, begins = Pace(self.share), True

        def clear(connection: Connection, limit: int) -> int:
            return texts.clear_step(connection, begins=begins)

        while await self.store.run(partial(pace.taken, work=clear)):
            begins = False
            await asyncio.sleep(pace.pause)

    def _slice(self, disposal: DisposalView) -> Callable[..., int]:
        return partial(destroy_slice, number=disposal.number, now=self.clock())

    def _certificate(self, connection: Connection, number: int, now: float) -> dict[str, Any]:
        disposal = disposals.find_disposal(connection, number)
        assert disposal is not None
        return certificate(disposal, disposals.items_of(connection, disposal), self.store.database.kind, now)


def age_of(ruleset: Ruleset, name: str, now: float) -> Age | None:
    """Return how old things of a class are that are due now; None where nothing ever is."""
    cutoff = ruleset.due_before(name, moment_of(now))
    if cutoff is None:
        return None
    before = cutoff.timestamp()
    if name == LEDGER:  # while people of a mailing count, the next message of it would begin another
        before = min(before, now - ruleset.counts_within.total_seconds())
    return Age(before, ruleset.record_class(name).after == CLOSED)


def wanted(ruleset: Ruleset, name: str, age: Age, *, automatic: bool = False) -> NewDisposal:
    """Return what a list says of its class, as the rules have it."""
    records, rule = ruleset.records, ruleset.record_class(name)
    backups = None if records.backups is None else records.backups.total_seconds()
    return NewDisposal(name, records.schedule, rule.cite, rule.keep.text, age.before, backups, automatic)


def _begin(connection: Connection, new: NewDisposal, act: Act) -> int | None:
    """Begin a list; None where another process has begun one of the class meanwhile."""
    number = disposals.begin(connection, new, act)  # takes its turn by the number
    others = disposals.list_disposals(connection)
    same = [one for one in others if one.automatic and one.name == new.name and one.number != number]
    if any(act.at - one.proposed_at < _DAY_SECONDS for one in same):
        _withdraw(connection, number, replace(act, reason="another was begun meanwhile"))
        return None
    return number


def _withdraw(connection: Connection, number: int, act: Act) -> None:
    disposal = disposals.find_disposal(connection, number, lock=True)
    if disposal is not None and disposal.state is DisposalState.LISTING:
        disposals.withdraw(connection, disposal, act)


def _freeze(connection: Connection, number: int, digest: str, act: Act) -> None:
    disposal = disposals.find_disposal(connection, number, lock=True)
    assert disposal is not None
    disposals.propose(connection, disposal, digest, act)
