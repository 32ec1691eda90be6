"""Keeps the compliance report of each month, and mails a link to it to those whom the rules name (M6).

Once a month, on its first working day, of the month before: whichever node comes first keeps the report and queues the
letters, in one transaction. A node that was down that day does it when it is back, as long as the month lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from gatekeeper.lib.aio import run_long
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.outbox import to_report_readers
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, Store, jobs, kept_reports
from gatekeeper.store.events import GATE, Act
from gatekeeper.store.kept_reports import KeptReport
from gatekeeper.store.report_facts import Period

log = logging.getLogger("gatekeeper.reports")


@immutable
class Month:
    """A month that is over, as its letters name it (2026-11), and its period."""

    name: str
    period: Period


def month_due(ruleset: Ruleset, now: float) -> Month | None:
    """Return the month before this one, from the first working day of this one on; None before that day."""
    local = moment_of(now).astimezone(ruleset.timezone)
    first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    last = first.date() - timedelta(days=1)
    if local.date() < calendar_of(ruleset).add(last, 1):
        return None
    begin = datetime(last.year, last.month, 1, tzinfo=ruleset.timezone)
    return Month(f"{last:%Y-%m}", Period(begin.timestamp(), first.timestamp()))


@dataclass(slots=True)
class MonthlyReports:
    """The duty of an office; any number of these share a database. Args: `make` returns a report as its document."""

    store: Store
    letterhead: Callable[[], Letterhead]
    make: Callable[[Ruleset, Period], str]
    on_queued: Callable[[], None]
    clock: Callable[[], float]

    async def attend(self) -> None:
        """Keep the report that is due, and tell those who have not been told. Raises StoreError."""
        letterhead = self.letterhead()
        readers = letterhead.ruleset.reports.monthly
        month = month_due(letterhead.ruleset, self.clock()) if readers else None
        if month is not None:
            await self._tell(letterhead, month, readers)

    async def _tell(self, letterhead: Letterhead, month: Month, readers: Sequence[str]) -> None:
        names = {to_report_readers.once_of(month.name, each): each for each in readers}
        told = await self.store.read(partial(jobs.queued_of, names=list(names)))
        waiting = [each for name, each in names.items() if name not in told]
        if not waiting:
            return
        span = (month.period.since, month.period.until)
        kept = await self.store.read(partial(kept_reports.of_month, since=span[0], until=span[1]))
        text = "" if kept else await run_long(self.make, letterhead.ruleset, month.period)
        step("report-made")
        write = partial(_keep_and_tell, letterhead=letterhead, month=month, text=text, now=self.clock())
        report, number = await self.store.run(partial(write, readers=waiting))
        if number:
            self.on_queued()
            log.info("%s, of %s: nrcpt=%d", report.id, month.name, number)


def _keep_and_tell(
    connection: Connection, letterhead: Letterhead, month: Month, text: str, now: float, *, readers: Sequence[str]
) -> tuple[KeptReport, int]:
    """Keep the report of a month, where no other node has done so, and tell its readers; return it, and how many."""
    report = kept_reports.keep_once(connection, month.period.since, month.period.until, text, Act(now, "", GATE))
    told = [to_report_readers.tell(connection, letterhead, report, each, now) for each in readers]
    return report, sum(told)
