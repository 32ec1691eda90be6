"""Mailings that are being gathered: which are due, what is in them, and how a gather ends, once.

Whoever finds one due reads it, judges it outside of any transaction, and ends it only if nothing has changed since: of
several workers one succeeds, and a worker that is killed leaves nothing to take over but the mailing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from gatekeeper.lifecycle import BatchState, MailingState, advance
from gatekeeper.model import Reason, Standing
from gatekeeper.store.decide import held_changes, read_standing
from gatekeeper.store.joining import succeed
from gatekeeper.store.ledger import send_on
from gatekeeper.store.people import mark_all_reached
from gatekeeper.store.schema import batches, mailings
from gatekeeper.store.timeline import record
from gatekeeper.store.views import BatchView, MailingView, find_batches, view_mailing


@dataclass(frozen=True, slots=True)
class Gathered:
    """A mailing whose gather is due, as it was read."""

    mailing: MailingView
    standing: Standing
    batches: tuple[BatchView, ...]
    version: int


def due_gathers(connection: Connection, now: float) -> list[int]:
    """Keys of the mailings that have been quiet for long enough, or gathered for as long as they may."""
    query = (
        select(mailings.c.id)
        .where(mailings.c.gather_until <= now, mailings.c.state == MailingState.GATHERING)
        .order_by(mailings.c.gather_until)
        .limit(20)
    )
    return list(connection.execute(query).scalars())


def read_gathered(connection: Connection, key: int, *, lock: bool = False) -> Gathered | None:
    """A mailing with its gathered batches; None where somebody has ended its gather.

    `lock` keeps it as it was read until the transaction ends (Postgres; SQLite has one writer).
    """
    query = select(mailings).where(mailings.c.id == key, mailings.c.state == MailingState.GATHERING)
    query = query.where(mailings.c.merged_into.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        return None
    kept = tuple(find_batches(connection, key, BatchState.GATHERED))
    return Gathered(view_mailing(connection, key), read_standing(connection, row), kept, row["version"])


def end_by_passing(connection: Connection, gathered: Gathered, added: Mapping[int, bytes], now: float) -> bool:
    """Send all that was gathered; False where the mailing has changed since it was read.

    Args: `added` has, by batch, the header fields of a warning.
    """
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    # Point of no return: from this commit on everyone whom the mailing counts may be reached.
    mark_all_reached(connection, row["id"])
    for batch in gathered.batches:
        if batch.id in added:
            trace = batch.trace + added[batch.id]
            connection.execute(update(batches).where(batches.c.id == batch.id).values(trace=trace))
        send_on(connection, row["id"], batch.id, now)
    _end(connection, row, "pass", now, {})
    record(connection, row["id"], now, "gathered", text=f"{len(gathered.batches)} batches sent on")
    return True


def end_by_holding(connection: Connection, gathered: Gathered, reasons: tuple[Reason, ...], now: float) -> bool:
    """Hold all that was gathered; False where the mailing has changed since it was read."""
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    _end(connection, row, "hold", now, held_changes(connection, row, reasons, now))
    return True


def end_by_refusing(connection: Connection, gathered: Gathered, reasons: tuple[Reason, ...], now: float) -> bool:
    """Return all that was gathered; False where the mailing has changed since it was read.

    Its sender is to be told by one DSN, which the caller queues in the same transaction.
    """
    row = _unchanged(connection, gathered)
    if row is None:
        return False
    left = update(batches).where(batches.c.id.in_([batch.id for batch in gathered.batches]))
    connection.execute(left.values(state=BatchState.RETURNED.value))
    succeed(connection, row["id"])
    _end(connection, row, "refuse", now, {})
    record(connection, row["id"], now, "refused", text=", ".join(reason.rule for reason in reasons))
    return True


def _unchanged(connection: Connection, gathered: Gathered) -> RowMapping | None:
    query = select(mailings).where(mailings.c.id == gathered.mailing.key).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None or row["state"] != MailingState.GATHERING or row["merged_into"] is not None:
        return None
    # a batch that was sealed since is not in the version: it was counted when it was decided
    ids = select(batches.c.id).where(batches.c.mailing_id == row["id"], batches.c.state == BatchState.GATHERED)
    same = set(connection.execute(ids).scalars()) == {batch.id for batch in gathered.batches}
    return row if same and row["version"] == gathered.version else None


def _end(connection: Connection, row: RowMapping, act: str, now: float, changes: Mapping[str, Any]) -> None:
    state = advance(MailingState(row["state"]), act).value
    ended = {"state": state, "gather_until": None, "changed_at": now, "version": row["version"] + 1}
    connection.execute(update(mailings).where(mailings.c.id == row["id"]).values(**{**ended, **changes}))
