"""Mailings, batches and events as people see them, and what ops count: frozen values, made of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState, RecipientState
from gatekeeper.model import Client, Counts, Reason, Recipient
from gatekeeper.store import jobs, sources
from gatekeeper.store.db.schema import (
    batch_recipients,
    batches,
    bodies,
    body_chunks,
    events,
    mailings,
    permit_scopes,
    permits,
)
from gatekeeper.store.jobs import in_hand
from gatekeeper.store.rows import counts_of, mailing_name, owners_of, reasons_from_rows
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


@immutable
class RecipientView:
    """A recipient of a stored batch, and what became of it."""

    recipient: Recipient
    state: RecipientState
    reply: str | None


@immutable
class BatchView:
    """A stored batch: its envelope, and the digest of its message."""

    id: int
    state: BatchState
    sender: str
    parameters: tuple[str, ...]
    recipients: tuple[RecipientView, ...] = field(repr=False)
    login: str | None
    authenticated: bool
    client: Client
    listener: str
    message_id: str | None
    content_digest: str
    body: bytes = field(repr=False)
    trace: bytes = field(repr=False)
    received_at: float
    notify: bool
    size: int
    place: int | None  # in the order in which those of its mailing were made durable
    owners: tuple[str, ...]  # mailboxes whose mail it is, the one that letters go to first

    @property
    def owner(self) -> str:
        """The mailbox that letters about it go to; "" where From alone says whose it is."""
        return self.owners[0] if self.owners else ""


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
    return _with_tallies(connection, rows)


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
    return _with_tallies(connection, connection.execute(query).mappings().all())


def _row_of(connection: Connection, condition: ColumnElement[bool], lock: bool) -> RowMapping | None:
    query = select(mailings).where(condition)
    return connection.execute(query.with_for_update() if lock else query).mappings().first()


def _with_tally(connection: Connection, row: RowMapping) -> MailingView:
    return _with_tallies(connection, [row])[0]


def _with_tallies(connection: Connection, rows: Sequence[RowMapping]) -> list[MailingView]:
    tallies = _tallies(connection, [row["id"] for row in rows])
    named = mailing_versions(connection, rows)
    return [_view(row, tallies.get(row["id"], {}), named[row["id"]]) for row in rows]


def mailing_of_batch(connection: Connection, batch_id: int) -> MailingView:
    """Return the mailing of a stored batch."""
    query = select(mailings).join(batches, batches.c.mailing_id == mailings.c.id).where(batches.c.id == batch_id)
    row = connection.execute(query).mappings().one()
    return _with_tally(connection, row)


def _tallies(connection: Connection, ids: list[int]) -> dict[int, dict[str, int]]:
    """Return the number of batches, and of their recipients by state, by mailing."""
    found: dict[int, dict[str, int]] = {}
    acknowledged = (batches.c.mailing_id.in_(ids), batches.c.state != BatchState.STORING)
    counting = select(batches.c.mailing_id, func.count()).where(*acknowledged).group_by(batches.c.mailing_id)
    for mailing_id, number in connection.execute(counting):
        found[mailing_id] = {"batches": number}
    states = (
        select(batches.c.mailing_id, batch_recipients.c.state, func.count())
        .join(batch_recipients, batch_recipients.c.batch_id == batches.c.id)
        .where(*acknowledged)
        .group_by(batches.c.mailing_id, batch_recipients.c.state)
    )
    for mailing_id, state, number in connection.execute(states):
        found[mailing_id][state] = number
    return found


def _view(row: RowMapping, tally: Mapping[str, int], version: str) -> MailingView:
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
        batches=tally.get("batches", 0),
        sent=row["relayed"] + tally.get(RecipientState.SENT, 0),
        refused=tally.get(RecipientState.REFUSED, 0) + tally.get(RecipientState.EXPIRED, 0),
        forgotten=row["sender"] is None,
        version=version,
        kept=row["kept"] or 0,
    )


def find_batches(connection: Connection, mailing_key: int, state: BatchState | None = None) -> list[BatchView]:
    """Return the acknowledged batches of a mailing, oldest first, with their recipients; of one state, where named."""
    kept = batches.c.state != BatchState.STORING if state is None else batches.c.state == state
    return _batch_views(connection, and_(batches.c.mailing_id == mailing_key, kept))


def find_batch(connection: Connection, batch_id: int) -> BatchView:
    """Return one batch by its id."""
    (found,) = _batch_views(connection, batches.c.id == batch_id)
    return found


def _batch_views(connection: Connection, chosen: ColumnElement[bool]) -> list[BatchView]:
    sized = select(batches, bodies.c.size, mailings.c.sender.label("mailing_sender"))
    query = sized.join(bodies, bodies.c.digest == batches.c.body).join(mailings, mailings.c.id == batches.c.mailing_id)
    query = query.where(chosen)
    rows = connection.execute(query.order_by(batches.c.id)).mappings().all()
    recipients = _recipients(connection, chosen)
    return [_batch_view(row, recipients.get(row["id"], ())) for row in rows]


def _batch_view(row: RowMapping, recipients: Sequence[RecipientView]) -> BatchView:
    return BatchView(
        id=row["id"],
        state=BatchState(row["state"]),
        sender=row["sender"],
        parameters=tuple(row["parameters"]),
        recipients=tuple(recipients),
        login=row["login"],
        authenticated=row["authenticated"],
        client=Client(**row["client"]),
        listener=row["listener"],
        message_id=row["message_id"],
        content_digest=row["content_digest"],
        body=bytes(row["body"]),
        trace=bytes(row["trace"]),
        received_at=row["received_at"],
        notify=row["notify"],
        size=row["size"],
        place=row["place"],
        owners=tuple(owners_of(row["owners"], row["mailing_sender"])),
    )


def _recipients(connection: Connection, chosen: ColumnElement[bool]) -> dict[int, list[RecipientView]]:
    """Return recipients by batch, in one query however many batches there are."""
    table = batch_recipients
    query = select(table).join(batches, table.c.batch_id == batches.c.id).where(chosen)
    found: dict[int, list[RecipientView]] = {}
    for row in connection.execute(query.order_by(table.c.batch_id, table.c.position)).mappings():
        recipient = Recipient(row["address"], tuple(row["parameters"]))
        view = RecipientView(recipient, RecipientState(row["state"]), row["reply"])
        found.setdefault(row["batch_id"], []).append(view)
    return found


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
    waits = batch_recipients.c.state == RecipientState.WAITING
    query = (
        select(batches.c.id, batches.c.state, batches.c.permits, func.count())
        .join(batch_recipients, batch_recipients.c.batch_id == batches.c.id)
        .where(batches.c.mailing_id == mailing_key, batches.c.state.in_(_UNSENT), waits)
        .group_by(batches.c.id)
    )
    going = stopped = 0
    for id, state, under, number in connection.execute(query):
        if state == BatchState.RELEASED or (under and in_hand(connection, [id], now)):
            going += number
        elif under:
            stopped += number
    return PendingRecipients(going, stopped)


def header_of(connection: Connection, body: bytes) -> bytes:
    """Return the header block of a stored message, or as much of it as its first chunk holds."""
    query = select(body_chunks.c.data).where(body_chunks.c.digest == body, body_chunks.c.position == 0)
    data = bytes(connection.execute(query).scalar() or b"")
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else data[: end + 2]


def timeline(connection: Connection, mailing_key: int) -> list[EventView]:
    """Return the events of a mailing, oldest first."""
    return _events(connection, events.c.mailing_id == mailing_key)


def events_of(
    connection: Connection, *, request: int | None = None, permit: int | None = None, suspension: int | None = None
) -> list[EventView]:
    """Return the events of the request, permit or suspension of that key, oldest first."""
    about = ((events.c.request_id, request), (events.c.permit_id, permit), (events.c.suspension_id, suspension))
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
    """Numbered mailings by state, when the oldest held one was held, jobs by kind, and sources of the directory."""

    mailings: Mapping[str, int]
    oldest_held: float | None
    queue: Mapping[str, int]
    sources: Sequence[sources.SourceState] = ()  # of the directory


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
    )
