"""Mailings, batches and events as people see them, and what ops count: frozen values, made of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState, RequestState
from gatekeeper.model import Counts, Reason
from gatekeeper.store import jobs, sources
from gatekeeper.store.db.schema import (
    batches,
    events,
    mailings,
    permit_scopes,
    permits,
    requests,
)
from gatekeeper.store.jobs import in_hand
from gatekeeper.store.kept import read_total
from gatekeeper.store.rows import counts_of, mailing_name, reasons_from_rows
from gatekeeper.store.tallies import NOTHING, WAITING, Tally, tallies_of
from gatekeeper.store.versions import mailing_versions

NUMBERED = (mailings.c.number.is_not(None), mailings.c.merged_into.is_(None))


@immutable
class MailingView:
    """A numbered mailing and its progress."""

    key: int = field(repr=False)  # of the database; people use `id`
    id: str
    state: MailingState
    sender: str
    subject: str
    counts: Counts
    reasons: tuple[Reason, ...]
    started_at: float
    changed_at: float
    held_at: float | None
    relayed: int  # people reached without a stop
    reached_before: int | None  # people reached when it was last held
    gather_until: float | None
    joined: Mapping[str, int]  # kind of key -> transactions that it joined
    batches: int
    sent: int  # people and recipients that it has gone to
    refused: int  # recipients that the next hop refused for good
    version: str  # changes with all that somebody would want to see before deciding (versions.py)
    kept: int  # the place of its newest batch
    forgotten: bool = False  # it ended as ordinary mail, and nothing of its content and addresses is kept
    destroyed: str | None = None  # the disposal by which its content was destroyed last, such as D-3
    disposed: str | None = None  # the disposal by which all but its number, times, counts and state was destroyed


@immutable
class EventView:
    """One event of a timeline."""

    at: float
    act: str
    by: str | None
    login: str | None
    text: str | None
    details: Mapping[str, Any] = field(default_factory=dict)  # of a yes: what was seen; of growth: from what to what


def list_mailings(connection: Connection, state: str | None = None, limit: int = 1000) -> list[MailingView]:
    """Return numbered mailings, newest first; of one state, where named."""
    query = select(mailings).where(*NUMBERED).order_by(mailings.c.number.desc()).limit(limit)
    if state:
        query = query.where(mailings.c.state == state)
    rows = connection.execute(query).mappings().all()
    return with_tallies(connection, rows)


def find_mailing(connection: Connection, number: int, *, lock: bool = False) -> MailingView | None:
    """Return one mailing by its number, or the mailing that it was merged into.

    Args: `lock` keeps others from deciding on it meanwhile (Postgres; SQLite has one writer).
    """
    row = _row_of(connection, mailings.c.number == number, lock)
    while row and row["merged_into"] is not None:
        row = _row_of(connection, mailings.c.id == row["merged_into"], lock)
    return _with_tally(connection, row) if row else None


def view_mailing(connection: Connection, key: int) -> MailingView:
    """Return one mailing by the database's key."""
    return _with_tally(connection, connection.execute(select(mailings).where(mailings.c.id == key)).mappings().one())


def view_mailings(connection: Connection, keys: Sequence[int]) -> list[MailingView]:
    """Return mailings by the database's keys, the lowest number first."""
    query = select(mailings).where(mailings.c.id.in_(keys)).order_by(mailings.c.number)
    return with_tallies(connection, connection.execute(query).mappings().all())


def _row_of(connection: Connection, condition: ColumnElement[bool], lock: bool) -> RowMapping | None:
    query = select(mailings).where(condition)
    return connection.execute(query.with_for_update() if lock else query).mappings().first()


def _with_tally(connection: Connection, row: RowMapping) -> MailingView:
    return with_tallies(connection, [row])[0]


def with_tallies(connection: Connection, rows: Sequence[RowMapping]) -> list[MailingView]:
    """Return mailings of rows with what was sent of them."""
    tallies = tallies_of(connection, [row["id"] for row in rows])
    named = mailing_versions(connection, rows)
    return [_view(row, tallies.get(row["id"], NOTHING), named[row["id"]]) for row in rows]


def mailing_of_batch(connection: Connection, batch_id: int) -> MailingView:
    """Return the mailing of a stored batch."""
    query = select(mailings).join(batches, batches.c.mailing_id == mailings.c.id).where(batches.c.id == batch_id)
    row = connection.execute(query).mappings().one()
    return _with_tally(connection, row)


def _view(row: RowMapping, tally: Tally, version: str) -> MailingView:
    return MailingView(
        key=row["id"],
        id=mailing_name(row["number"]) or "",
        state=MailingState(row["state"]),
        sender=row["sender"] or "",
        subject=row["subject"] or "",
        counts=counts_of(row),
        reasons=reasons_from_rows(row["reasons"]),
        started_at=row["started_at"],
        changed_at=row["changed_at"],
        held_at=row["held_at"],
        relayed=row["relayed"],
        reached_before=row["reached_before"],
        gather_until=row["gather_until"],
        joined=dict(row["joined"]),
        batches=tally.batches,
        sent=row["relayed"] + tally.sent,
        refused=tally.refused + tally.expired,
        forgotten=row["sender"] is None and row["disposed"] is None,
        destroyed=None if row["destroyed"] is None else f"D-{row['destroyed']}",
        disposed=None if row["disposed"] is None else f"D-{row['disposed']}",
        version=version,
        kept=row["kept"] or 0,
    )


_UNSENT = (BatchState.RELEASED, BatchState.HELD, BatchState.RETURNED, BatchState.WITHDRAWN)


@immutable
class PendingRecipients:
    """Recipients of a mailing's released batches that are not sent to yet, and those of stopped batches.

    A stopped batch is held again, or has gone back to its sender since.
    """

    going: int = 0
    stopped: int = 0


def pending_recipients(connection: Connection, mailing_key: int, now: float) -> PendingRecipients:
    """Return how many recipients a mailing is on its way to; a batch that was stopped while it is being sent counts
    too.
    """
    query = select(batches.c.id, batches.c.state, batches.c.permits, WAITING)
    query = query.where(batches.c.mailing_id == mailing_key, batches.c.state.in_(_UNSENT))
    going = stopped = 0
    for id, state, under, number in connection.execute(query).all():
        if state == BatchState.RELEASED or (under and in_hand(connection, [id], now)):
            going += number
        elif under:
            stopped += number
    return PendingRecipients(going, stopped)


def timeline(connection: Connection, mailing_key: int) -> list[EventView]:
    """Return the events of a mailing, oldest first."""
    return _events(connection, events.c.mailing_id == mailing_key)


def events_of(
    connection: Connection,
    *,
    request: int | None = None,
    permit: int | None = None,
    case: int | None = None,
    preserve: int | None = None,
    disposal: int | None = None,
) -> list[EventView]:
    """Return the events of the request, permit, case, hold or disposal of that key, oldest first."""
    about = (
        (events.c.request_id, request),
        (events.c.permit_id, permit),
        (events.c.case_id, case),
        (events.c.preserve_id, preserve),
        (events.c.disposal_id, disposal),
    )
    return _events(connection, or_(*(column == key for column, key in about if key is not None)))


def _events(connection: Connection, chosen: ColumnElement[bool]) -> list[EventView]:
    rows = connection.execute(select(events).where(chosen).order_by(events.c.id)).mappings()
    return [view_event(row) for row in rows]


def view_event(row: RowMapping) -> EventView:
    """Return an event as people see it."""
    return EventView(row["at"], row["act"], row["by"], row["login"], row["text"], row["details"] or {})


@immutable
class MailingStatus:
    """The present state and reach of a mailing."""

    mailing: str
    state: str
    users: int
    external: int


@immutable
class Emergency:
    """An emergency whose review is open (M1)."""

    id: str
    agencies: tuple[str, ...]
    by: str
    at: float
    until: float
    reason: str


def statuses_between(connection: Connection, since: float, until: float) -> dict[str, MailingStatus]:
    """Return mailings with a number that began or changed in that time, by id."""
    query = select(mailings.c.number, mailings.c.state, mailings.c.users, mailings.c.external).where(
        mailings.c.number.is_not(None),
        mailings.c.merged_into.is_(None),
        mailings.c.changed_at >= since,
        mailings.c.started_at <= until,
    )
    found = [MailingStatus(f"M-{number}", *rest) for number, *rest in connection.execute(query)]
    return {status.mailing: status for status in found}


def open_emergencies(connection: Connection) -> list[Emergency]:
    """Return emergencies that nobody has reviewed yet, oldest first."""
    query = select(permits).where(permits.c.kind == "emergency", permits.c.review == "open").order_by(permits.c.number)
    return [_emergency(connection, row) for row in connection.execute(query).mappings().all()]


def _emergency(connection: Connection, row: RowMapping) -> Emergency:
    agencies = _agencies(connection, row["id"])
    return Emergency(f"P-{row['number']}", agencies, row["given_by"], row["given_at"], row["until"], row["reason"])


def _agencies(connection: Connection, permit: int) -> tuple[str, ...]:
    query = select(permit_scopes.c.name).where(permit_scopes.c.permit_id == permit, permit_scopes.c.kind == "agency")
    return tuple(sorted(connection.execute(query).scalars()))


# -- what ops count ----------------------------------------------------------------------------------------------


@immutable
class LedgerCounts:
    """Numbered mailings by state, when the oldest held one was held, jobs by kind, and what else the metrics show."""

    mailings: Mapping[str, int]
    oldest_held: float | None
    queue: Mapping[str, int]
    sources: Sequence[sources.SourceState] = ()  # of the directory
    kept: int = 0  # octets of stored messages
    queued_since: Mapping[str, float] = field(default_factory=dict)  # kind -> when its oldest job was queued
    requests: Mapping[str, int] = field(default_factory=dict)  # state -> number of requests


def _count_requests(connection: Connection) -> dict[str, int]:
    counting = select(requests.c.state, func.count()).group_by(requests.c.state)
    found = dict.fromkeys(RequestState, 0) | {row[0]: row[1] for row in connection.execute(counting)}
    return {str(state): number for state, number in found.items()}


def summarise(connection: Connection) -> LedgerCounts:
    """Count what the metrics show."""
    counting = select(mailings.c.state, func.count()).where(*NUMBERED).group_by(mailings.c.state)
    by_state = dict.fromkeys(MailingState, 0) | {row[0]: row[1] for row in connection.execute(counting)}
    oldest = select(func.min(mailings.c.held_at)).where(*NUMBERED, mailings.c.state == MailingState.HELD)
    return LedgerCounts(
        mailings={str(state): number for state, number in by_state.items()},
        oldest_held=connection.execute(oldest).scalar(),
        queue=jobs.summary(connection),
        sources=sources.all_sources(connection),
        kept=read_total(connection),
        queued_since=jobs.oldest(connection),
        requests=_count_requests(connection),
    )
