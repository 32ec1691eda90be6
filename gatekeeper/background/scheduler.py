"""Runs the loops of the office.

Gathers end, held mailings and requests are looked after, what nobody needs is removed, reports of months are mailed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from gatekeeper.background.gathering import GatherRunner
from gatekeeper.background.monthly_reports import MonthlyReports
from gatekeeper.background.recheck import Rechecks
from gatekeeper.background.reminders import Reminders
from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.store import (
    OutageLog,
    Store,
    cleanup,
    permit_uses,
    permits,
    preflights,
    returned,
    sent,
    versions,
)
from gatekeeper.store.time_bounds import WaitLimits, bound_stored_times

log = logging.getLogger("gatekeeper.duties")
GATHER_SECONDS = 0.25  # by which a gather may end late
ATTEND_SECONDS = 2.0  # by which somebody may be told late that a mailing waits
TIDY_SECONDS = 60.0
FORGET_SECONDS = 15.0  # by which content and addresses of gathered mail that passed as ordinary may stay too long
REPORT_SECONDS = 60.0  # by which a report may be late
_LOOPS = ("gathers", "held mailings", "reminders", "the tidying up", "forgetting", "the monthly report")
_UNSEALED_SECONDS = 3600.0  # after which a batch that was never acknowledged is not resent any more
_TOKEN_SECONDS = 5 * 86_400.0  # longer than a token is good; a program before this one may need those that it wrote
_ORDINARY_SECONDS = 86_400.0  # for which hashes of ordinary mail are kept at least
_SEEN_SECONDS = 90 * 86_400.0  # for which a version that somebody was shown of a case can be named in a decision


@dataclass(slots=True)
class Scheduler:
    """The loops of a running gate that work by the passing of time."""

    active_policy: ActivePolicy
    store: Store
    gathers: GatherRunner
    reminders: Reminders
    rechecks: Rechecks
    reports: MonthlyReports
    clock: Callable[[], float] = time.time
    lease: float = 20.0  # seconds, of jobs and gathers
    _log_is_full: bool = True  # what was removed may be in the write-ahead log still
    _loops: list[PeriodicTask] = field(default_factory=list)
    _outages: dict[str, OutageLog] = field(default_factory=lambda: {name: OutageLog(log, name) for name in _LOOPS})

    def start(self) -> None:
        """Start the loops."""
        periods = (
            (GATHER_SECONDS, self.end_gathers),
            (GATHER_SECONDS, self.meet),
            (ATTEND_SECONDS, self.attend),
            (TIDY_SECONDS, self.tidy),
            (FORGET_SECONDS, self.forget),
            (REPORT_SECONDS, self.report),
        )
        self._loops = [PeriodicTask(seconds, work) for seconds, work in periods]
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """End the loops."""
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    async def end_gathers(self) -> None:
        """End the gathers that are due; while the database is away they wait."""
        with self._outages["gathers"].survived():
            await self.gathers.end_due()

    async def meet(self) -> None:
        """Judge the held mailings again that a permit may cover; while the database is away they wait."""
        with self._outages["held mailings"].survived():
            await self.rechecks.run_due()

    async def attend(self) -> None:
        """Look after held mailings and requests."""
        with self._outages["reminders"].survived():
            await self.reminders.attend()

    async def report(self) -> None:
        """Keep and mail the report of the month that is over."""
        with self._outages["the monthly report"].survived():
            await self.reports.attend()

    async def forget(self) -> None:
        """Remove content and addresses of gathered mail that passed as ordinary, from every file of the database."""
        with self._outages["forgetting"].survived():
            while found := await self.store.read(partial(cleanup.find_passed, now=self.clock())):
                if not await self.store.run(partial(cleanup.forget_passed, now=self.clock(), among=found)):
                    break
                self._log_is_full = True
            if self._log_is_full:
                self._log_is_full = not await asyncio.to_thread(self.store.database.truncate_log)

    async def bound_times(self) -> None:
        """Shorten the stored times that a clock which was hours ahead has written; raises StoreError."""
        gather = self.active_policy.current.ruleset.mailing.gather
        quiet, longest = (gather.quiet, gather.limit) if gather else (timedelta(), timedelta())
        limits = WaitLimits(self.lease, quiet.total_seconds(), longest.total_seconds())
        bounded = await self.store.run(partial(bound_stored_times, now=self.clock(), limits=limits))
        if bounded:
            log.warning("%d stored times were further ahead than anything waits: a clock was set back", bounded)

    async def tidy(self) -> None:
        """Remove what nobody needs: batches never acknowledged, bodies without a batch, hashes of old ordinary mail."""
        now = self.clock()
        age = max(_ORDINARY_SECONDS, self.active_policy.current.ruleset.counts_within.total_seconds())
        unsealed = now - _UNSEALED_SECONDS
        with self._outages["the tidying up"].survived():
            await self.bound_times()
            await self.store.run(partial(cleanup.forget_unsealed, before=unsealed))
            await self.store.run(partial(cleanup.forget_bodies, before=unsealed))
            await self.store.run(partial(sent.forget_sums, now=now))
            await self.store.run(partial(preflights.forget, before=unsealed))
            await self.store.run(partial(cleanup.forget_tokens, before=now - _TOKEN_SECONDS))
            await self.store.run(partial(returned.forget_uses, before=now - _TOKEN_SECONDS))
            await self.store.run(partial(permits.expire_permits, now=now))
            await self.store.run(partial(permit_uses.forget_flights, now=now))
            await self.store.run(partial(versions.forget, before=now - _SEEN_SECONDS))
            while found := await self.store.read(partial(cleanup.find_ordinary, before=now - age)):
                # a few hundred a commit, so that mail is not kept waiting
                if not await self.store.run(partial(cleanup.forget_ordinary, before=now - age, among=found)):
                    break
