"""Mailings that are being gathered: which are due, what is in them, and how a gather ends, exactly once.

A process that finds one due leases it, reads it, judges it outside of any transaction, and ends it only if nothing has
changed since. The lease only spares other nodes the work: if two judge one mailing, because a lease ran out, one
succeeds (the row's version is the fence), and a process that is killed leaves nothing to take over but the mailing
itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState, advance
from gatekeeper.model import Counts, Reason, Standing
from gatekeeper.store.batch_views import StoredBatch, find_batches
from gatekeeper.store.batches import write_reasons
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.db.statements import Row
from gatekeeper.store.decide import held_changes
from gatekeeper.store.events import Event, record
from gatekeeper.store.mailing_match import open_successor
from gatekeeper.store.mailings import send_on
from gatekeeper.store.people import mark_all_reached
from gatekeeper.store.permit_uses import claim
from gatekeeper.store.refusals import refusal_by
from gatekeeper.store.standing import own_standing
from gatekeeper.store.views import MailingView, view_mailing


@immutable
class GatheredMailing:
    """A mailing whose gather is due, as it was read."""

    mailing: MailingView
    standing: Standing
    batches: tuple[StoredBatch, ...]
    version: int
    source: bytes = field(repr=False)  # keyed hash
    refused: Row | None = None  # what is remembered of a part that was refused


@immutable
class Passing:
    """How the batches of a mailing pass: their reasons and warnings, by batch, and the permits by which they pass."""

    reasons: Mapping[int, tuple[Reason, ...]]
    warnings: Mapping[int, bytes]  # header fields, for those that are warned
    permits: Collection[str]  # locked


def any_due(connection: Connection, now: float) -> bool:
    """Return True where a gather is due and not leased; a read that disturbs no writer."""
    return connection.execute(_due(now).limit(1)).first() is not None


def lease_gather(connection: Connection, now: float, seconds: float) -> int | None:
    """Lease a mailing that has been quiet for long enough, or gathered for its limit; return its key."""
    # A locked row is one that more arrives for at this moment, or that another node leases.
    due = _due(now).order_by(mailings.c.gather_until).limit(1).with_for_update(skip_locked=True)
    key: int | None = connection.execute(due).scalar()
    if key is not None:
        connection.execute(update(mailings).where(mailings.c.id == key).values(gather_leased=now + seconds))
    return key


def wait_on(connection: Connection, now: float, limit: float) -> int:
    """Let all open gathers wait on after a start, for up to `limit` seconds from now; return their number.

    The connections over which the rest was coming were lost, and the MTAs come again later. As soon as more arrives, a
    gather ends as any other: when nothing has come for `quiet`. Who judges one now finds that it has changed.
    """
    is_open = (mailings.c.state == MailingState.GATHERING, mailings.c.gather_until.is_not(None))
    longer = {"gather_since": now, "gather_until": now + limit, "version": mailings.c.version + 1}
    return connection.execute(update(mailings).where(*is_open).values(**longer)).rowcount


def give_back(connection: Connection, key: int) -> None:
    """End the lease of a mailing that goes on gathering."""
    connection.execute(update(mailings).where(mailings.c.id == key).values(gather_leased=None))


def _due(now: float) -> Select[Any]:
    free = mailings.c.gather_leased.is_(None) | (mailings.c.gather_leased <= now)
    return select(mailings.c.id).where(mailings.c.gather_until <= now, mailings.c.state == MailingState.GATHERING, free)


def read_gathered(connection: Connection, key: int, *, lock: bool = False) -> GatheredMailing | None:
    """Return a mailing with its gathered batches; None where its gather has ended.

    Args: `lock` keeps it as it was read until the transaction ends (Postgres; SQLite has one writer).
    """
    query = select(mailings).where(mailings.c.id == key, mailings.c.state == MailingState.GATHERING)
    query = query.where(mailings.c.merged_into.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        return None
    kept = tuple(find_batches(connection, key, BatchState.GATHERED))
    view, standing = view_mailing(connection, key), own_standing(connection, row)
    return GatheredMailing(view, standing, kept, row["version"], row["source"], row["refused"])


def end_by_passing(connection: Connection, gathered: GatheredMailing, passing: Passing, now: float) -> bool:
    """Release everything that was gathered; return False where the mailing has changed since it was read."""
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    under = claim(connection, passing.permits, row["id"], now)
    # Point of no return: from this commit on everyone whom the mailing counts may be reached.
    mark_all_reached(connection, row["id"])
    write_reasons(connection, passing.reasons)
    for batch in gathered.batches:
        if batch.id in passing.warnings:
            trace = batch.trace + passing.warnings[batch.id]
            connection.execute(update(batches).where(batches.c.id == batch.id).values(trace=trace))
        send_on(connection, row["id"], batch.id, now, under)
    _end(connection, row, "pass", now, {})
    record(connection, Event(now, "gathered", mailing_id=row["id"], text=f"{len(gathered.batches)} batches sent on"))
    return True


def end_by_holding(
    connection: Connection,
    gathered: GatheredMailing,
    by_batch: Mapping[int, tuple[Reason, ...]],
    reasons: tuple[Reason, ...],
    now: float,
) -> bool:
    """Hold everything that was gathered; return False where the mailing has changed since it was read.

    Args: `by_batch` are the reasons of each batch, `reasons` those of the mailing.
    """
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    write_reasons(connection, by_batch)
    _end(connection, row, "hold", now, held_changes(connection, row, reasons, now))
    return True


@immutable
class Refusing:
    """Why a mailing is refused: its reasons, and those of their rules that refuse what comes of it later as well."""

    reasons: tuple[Reason, ...]
    lasting: frozenset[str]
    mendable: frozenset[str]  # of these, the rules about something in the message
    counts: Counts  # by which they refuse


def end_by_refusing(connection: Connection, gathered: GatheredMailing, refusing: Refusing, now: float) -> bool:
    """Return everything that was gathered to its sender; return False where the mailing has changed since it was read.

    The caller queues one DSN for the sender in the same transaction.
    """
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    left = update(batches).where(batches.c.id.in_([batch.id for batch in gathered.batches]))
    connection.execute(left.values(state=BatchState.RETURNED.value))
    refusal = refusal_by(refusing.lasting, refusing.mendable, refusing.counts) if refusing.lasting else None
    open_successor(connection, row["id"], refusal)
    _end(connection, row, "refuse", now, {})
    text = ", ".join(reason.rule for reason in refusing.reasons)
    record(connection, Event(now, "refused", mailing_id=row["id"], text=text))
    return True


def _unchanged(connection: Connection, gathered: GatheredMailing) -> RowMapping | None:
    query = select(mailings).where(mailings.c.id == gathered.mailing.key).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None or row["state"] != MailingState.GATHERING or row["merged_into"] is not None:
        return None
    # A batch that was sealed since is not in the version, because it was counted when it was decided.
    ids = select(batches.c.id).where(batches.c.mailing_id == row["id"], batches.c.state == BatchState.GATHERED)
    same = set(connection.execute(ids).scalars()) == {batch.id for batch in gathered.batches}
    return row if same and row["version"] == gathered.version else None


def _end(connection: Connection, row: RowMapping, act: str, now: float, changes: Mapping[str, Any]) -> None:
    state = advance(MailingState(row["state"]), act).value
    ended = {
        "state": state,
        "gather_until": None,
        "gather_leased": None,
        "changed_at": now,
        "version": row["version"] + 1,
    }
    connection.execute(update(mailings).where(mailings.c.id == row["id"]).values(**{**ended, **changes}))
