"""Held mailings that a permit may cover: which are to be judged again, and how that ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState, advance
from gatekeeper.model import Reason, Standing
from gatekeeper.store.batch_views import StoredBatch, find_batches
from gatekeeper.store.db.schema import mailings
from gatekeeper.store.events import Event, record
from gatekeeper.store.mailings import release
from gatekeeper.store.permit_uses import claim
from gatekeeper.store.rows import reasons_to_rows
from gatekeeper.store.standing import own_standing
from gatekeeper.store.views import MailingView, view_mailing


@immutable
class RecheckCandidate:
    """A held mailing, as it was read."""

    mailing: MailingView
    standing: Standing
    batches: tuple[StoredBatch, ...]
    version: int
    source: bytes = field(repr=False)  # keyed hash


def due_rechecks(connection: Connection, now: float) -> list[int]:
    """Return the keys of held mailings that are due to be judged again."""
    query = select(mailings.c.id).where(mailings.c.look_again <= now, mailings.c.state == MailingState.HELD)
    return list(connection.execute(query.order_by(mailings.c.look_again).limit(20)).scalars())


def read_candidate(connection: Connection, key: int) -> RecheckCandidate | None:
    """Return a held mailing with its held batches, locked until the transaction ends; None where it is no longer
    held.
    """
    query = select(mailings).where(mailings.c.id == key, mailings.c.state == MailingState.HELD)
    row = connection.execute(query.where(mailings.c.merged_into.is_(None)).with_for_update()).mappings().first()
    if row is None:
        return None
    kept = tuple(find_batches(connection, key, BatchState.HELD))
    return RecheckCandidate(
        view_mailing(connection, key), own_standing(connection, row), kept, row["version"], row["source"]
    )


def release_candidate(
    connection: Connection, candidate: RecheckCandidate, permits: Collection[str], now: float
) -> None:
    """Release everything that is held, under permits that are locked and cover it."""
    key = candidate.mailing.key
    state = advance(candidate.mailing.state, "approve")
    claim(connection, permits, key, now)
    changes = {"state": state.value, "changed_at": now, "look_again": None, "version": candidate.version + 1}
    connection.execute(update(mailings).where(mailings.c.id == key).values(**changes))
    record(connection, Event(now, "released", mailing_id=key, text=", ".join(permits)))
    release(connection, key, list(candidate.batches), list(permits), now)


def keep_held(
    connection: Connection, candidate: RecheckCandidate, reasons: tuple[Reason, ...], again: datetime | None
) -> None:
    """Keep the mailing held for these reasons; judge it again at `again`, where a permit's window begins later."""
    changes: dict[str, Any] = {"look_again": again and again.timestamp()}
    if reasons:
        changes["reasons"] = reasons_to_rows(reasons)
    connection.execute(update(mailings).where(mailings.c.id == candidate.mailing.key).values(**changes))
