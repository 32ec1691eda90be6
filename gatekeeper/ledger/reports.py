"""The verbs of the compliance report (M6): one computation, for every form and face; and reports that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any

from gatekeeper.audit.compliance import Compliance
from gatekeeper.audit.history import History
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, act_of, holds
from gatekeeper.ledger.due import ClassDue, all_due
from gatekeeper.ledger.sight import sees_all
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import Ruleset
from gatekeeper.store import Store, kept_reports, modes, report_facts, views
from gatekeeper.store.events import Act
from gatekeeper.store.kept_reports import KeptReport
from gatekeeper.store.modes import ModeChange
from gatekeeper.store.report_facts import (
    Decided,
    DomainAnswers,
    InForce,
    Integrity,
    Period,
    RecordsUsed,
    ReportedMailing,
)
from gatekeeper.store.views import Emergency, MailingStatus

__all__ = ["KeptReport", "Period", "Report", "ReportPart", "allowed", "compute", "find_kept", "keep", "size_of"]


@immutable
class ReportPart:
    """What the records and the ledger have of one period."""

    period: Period
    records: Compliance
    statuses: dict[str, MailingStatus]  # present states of mailings that began or changed then
    mailings: tuple[ReportedMailing, ...]
    decided: tuple[Decided, ...]
    in_force: InForce
    lost: int = 0  # records that were never written
    damaged: int = 0  # records that cannot be read

    @property
    def approved(self) -> set[str]:
        """The ids of mailings that were approved."""
        return {name for name, status in self.statuses.items() if status.state == MailingState.RELEASED}


@immutable
class Report:
    """A period, the one before it, and what else a report tells."""

    ruleset: Ruleset = field(repr=False)
    made_at: float
    now: ReportPart
    before: ReportPart
    answers: tuple[DomainAnswers, ...]
    emergencies: tuple[Emergency, ...]  # whose review is open
    observing: tuple[ModeChange, ...]
    integrity: Integrity
    used: RecordsUsed | None = None  # of all agencies; None in a report of one
    due: tuple[ClassDue, ...] = ()

    @property
    def agency(self) -> str | None:
        """The agency whose senders it is about; None for all."""
        return self.now.period.agency


def before(period: Period) -> Period:
    """Return the period before, which is as long and ends where this one begins."""
    return Period(2 * period.since - period.until, period.since, period.agency)


def size_of(store: Store, period: Period) -> int:
    """Return how many records a report reads at most."""
    return sum(History(store, each.since, each.until).size for each in (before(period), period))


def allowed(ruleset: Ruleset, by: str, agency: str | None) -> str | None:
    """Return the agency that somebody's report is about; the operator's, who is "", is about any.

    Raises: NotFound for an agency that the rules do not have, NotAllowed for who may see none, or not this one.
    """
    if agency is not None and agency not in ruleset.agencies:
        raise NotFound(f"{agency}: no such agency in the rules in force")
    if not by or sees_all(ruleset, by) or holds(ruleset, by, "records"):
        return agency
    person = ruleset.people.get(by)
    own = (person.of or tuple(ruleset.agencies)) if person and "requester" in person.roles else ()
    if agency in own:
        return agency
    if agency is not None or not own:
        raise NotAllowed(f"{by} may not see this report; approvers, admins and auditors may, requesters their agency's")
    if len(own) > 1:
        raise LedgerError(f"expected one agency of {', '.join(own)}: a requester sees a report of each")
    return own[0]


def compute(
    store: Store, ruleset: Ruleset, period: Period, on_read: Callable[[int], None] = lambda records: None
) -> Report:
    """Return the report of a period. Args: `on_read` is called with the number of records of each block read."""
    read = store.writer.read
    return Report(
        ruleset=ruleset,
        made_at=store.now(),
        now=_part(store, ruleset, period, on_read),
        before=_part(store, ruleset, before(period), on_read),
        answers=tuple(read(partial(report_facts.answers_of_period, period=period))),
        emergencies=tuple(
            one for one in read(views.open_emergencies) if period.agency is None or period.agency in one.agencies
        ),
        observing=tuple(read(partial(modes.changes_since, since=period.since))),
        integrity=read(report_facts.integrity),
        **_records(store, ruleset, period),
    )


def _records(store: Store, ruleset: Ruleset, period: Period) -> dict[str, Any]:
    """Return what is due, preserved and was handed over; nothing of it in a report of one agency."""
    if period.agency is not None:
        return {}
    act = act_of("", "", store.now())
    due = store.writer.read(lambda connection: all_due(VerbContext(connection, Letterhead(ruleset, ""), act)))
    return {"used": store.writer.read(partial(report_facts.records_used, period=period)), "due": tuple(due)}


def _part(store: Store, ruleset: Ruleset, period: Period, on_read: Callable[[int], None]) -> ReportPart:
    records = Compliance(period.agency, ruleset.timezone)
    history = History(store, period.since, period.until, on_read)
    for record, frame in history.records():
        records.take(record, frame)
    read = store.writer.read
    return ReportPart(
        period=period,
        records=records,
        statuses=read(partial(views.statuses_between, since=period.since, until=period.until)),
        mailings=tuple(read(partial(report_facts.reported_mailings, period=period))),
        decided=tuple(read(partial(report_facts.decided, period=period))),
        in_force=read(partial(report_facts.in_force, period=period)),
        lost=history.lost,
        damaged=history.damaged,
    )


def keep(store: Store, period: Period, document: str, act: Act) -> KeptReport:
    """Keep a report as it was made, under a number of its own; the audit notes it."""
    span = (period.since, period.until, period.agency)
    return store.call(lambda connection: kept_reports.keep(connection, *span, document, act))


def find_kept(store: Store, ruleset: Ruleset, number: int, by: str) -> KeptReport:
    """Return a kept report. Raises NotFound, NotAllowed, LedgerError where its document is not what was kept."""
    found = store.writer.read(partial(kept_reports.find, number=number))
    if found is None:
        raise NotFound(f"RP-{number}: no such report")
    is_own = by and not (sees_all(ruleset, by) or holds(ruleset, by, "records"))
    if is_own and (found.agency is None or allowed(ruleset, by, found.agency) is None):
        raise NotAllowed(f"{found.id}: {by} may not see it")
    if not found.is_whole:
        raise LedgerError(f"{found.id} is not what was kept: its digest was {found.digest}")
    return found
