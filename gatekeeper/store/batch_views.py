"""Stored batches as people see them, with their recipients where these are needed, and the heads of their messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, and_, cast, func, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED, BatchState, RecipientState
from gatekeeper.model import Client, Recipient
from gatekeeper.store import tallies
from gatekeeper.store.db.schema import batch_recipients, batches, bodies, body_chunks, mailings
from gatekeeper.store.rows import owners_of
from gatekeeper.store.tallies import Tally

_AT_ONCE = 500  # batches in one statement


@immutable
class RecipientView:
    """A recipient of a stored batch, and what became of it."""

    recipient: Recipient
    state: RecipientState
    reply: str | None


@immutable
class BatchView:
    """A stored batch: its envelope without the recipients, how many there are, and the digest of its message."""

    id: int
    state: BatchState
    sender: str
    parameters: tuple[str, ...]
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
    tally: Tally

    @property
    def owner(self) -> str:
        """The mailbox that letters about it go to; "" where From alone says whose it is."""
        return self.owners[0] if self.owners else ""


@immutable
class StoredBatch(BatchView):
    """A stored batch with its recipients."""

    recipients: tuple[RecipientView, ...] = field(repr=False)


def batches_of(connection: Connection, mailing_key: int, state: BatchState | None = None) -> list[BatchView]:
    """Return the acknowledged batches of a mailing, oldest first; of one state, where named."""
    return [BatchView(**_columns_of(row)) for row in _rows(connection, _chosen(mailing_key, state))]


def some_batches(connection: Connection, mailing_key: int, ids: Sequence[int]) -> list[BatchView]:
    """Return those of these batches that are acknowledged ones of a mailing."""
    chosen = and_(_chosen(mailing_key, None), batches.c.id.in_(ids))
    return [BatchView(**_columns_of(row)) for row in _rows(connection, chosen)]


def first_of_each_content(connection: Connection, mailing_key: int) -> list[BatchView]:
    """Return one acknowledged batch of each content that each owner has sent of a mailing, the oldest first."""
    first = select(func.min(batches.c.id)).where(_chosen(mailing_key, None))
    first = first.group_by(batches.c.content_digest, cast(batches.c.owners, Text))
    return [BatchView(**_columns_of(row)) for row in _rows(connection, batches.c.id.in_(first))]


def find_batches(connection: Connection, mailing_key: int, state: BatchState | None = None) -> list[StoredBatch]:
    """Return the same with their recipients, which takes as long as there are."""
    return _with_recipients(connection, _chosen(mailing_key, state))


def find_batch(connection: Connection, batch_id: int) -> StoredBatch:
    """Return one batch by its id, with its recipients."""
    (found,) = _with_recipients(connection, batches.c.id == batch_id)
    return found


def _chosen(mailing_key: int, state: BatchState | None) -> ColumnElement[bool]:
    kept = batches.c.state.not_in(UNACKNOWLEDGED) if state is None else batches.c.state == state
    return and_(batches.c.mailing_id == mailing_key, kept)


def _rows(connection: Connection, chosen: ColumnElement[bool]) -> Sequence[RowMapping]:
    query = select(batches, bodies.c.size, mailings.c.sender.label("mailing_sender"), *tallies.columns())
    query = query.join(bodies, bodies.c.digest == batches.c.body).join(mailings, mailings.c.id == batches.c.mailing_id)
    return connection.execute(query.where(chosen).order_by(batches.c.id)).mappings().all()


def _with_recipients(connection: Connection, chosen: ColumnElement[bool]) -> list[StoredBatch]:
    rows, recipients = _rows(connection, chosen), _recipients(connection, chosen)
    return [StoredBatch(**_columns_of(row), recipients=tuple(recipients.get(row["id"], ()))) for row in rows]


def _columns_of(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "state": BatchState(row["state"]),
        "sender": row["sender"],
        "parameters": tuple(row["parameters"]),
        "login": row["login"],
        "authenticated": row["authenticated"],
        "client": Client(**row["client"]),
        "listener": row["listener"],
        "message_id": row["message_id"],
        "content_digest": row["content_digest"],
        "body": bytes(row["body"]),
        "trace": bytes(row["trace"]),
        "received_at": row["received_at"],
        "notify": row["notify"],
        "size": row["size"],
        "place": row["place"],
        "owners": tuple(owners_of(row["owners"], row["mailing_sender"])),
        "tally": tallies.tally_of(row),
    }


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


def addresses_of(connection: Connection, batch_ids: Sequence[int]) -> Iterator[str]:
    """Yield the addresses of the recipients of batches."""
    for start in range(0, len(batch_ids), _AT_ONCE):
        chosen = batch_recipients.c.batch_id.in_(batch_ids[start : start + _AT_ONCE])
        yield from connection.execute(select(batch_recipients.c.address).where(chosen)).scalars()


def header_of(connection: Connection, body: bytes) -> bytes:
    """Return the header block of a stored message, or as much of it as its first chunk holds."""
    query = select(body_chunks.c.data).where(body_chunks.c.digest == body, body_chunks.c.position == 0)
    data = bytes(connection.execute(query).scalar() or b"")
    end = data.find(b"\r\n\r\n")
    return data if end < 0 else data[: end + 2]
