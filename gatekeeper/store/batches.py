"""Batches that the gate stores: written with the decision, durable and acknowledged only once their body is whole.

A body is stored once a digest, in chunks, in commits of their own, so that a large one delays nobody. Between the
decision and `seal` a batch is `storing`: a crash then leaves a batch that was never acknowledged, which the client's
resend completes, or which `cleanup.forget_unsealed` removes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from gatekeeper.address import normalise
from gatekeeper.lifecycle import BatchState, MailingState, RecipientState
from gatekeeper.model import Outcome, Reason, Recipient
from gatekeeper.store import matter_people, removal
from gatekeeper.store.arrival import Arrival, KeptAs
from gatekeeper.store.db.schema import batch_recipients, batches, bodies, body_chunks, mailings
from gatekeeper.store.db.statements import upsert
from gatekeeper.store.rows import client_to_row, reasons_to_rows

CHUNK = 1 << 20  # octets of a body in one commit


def keep_batch(connection: Connection, mailing_id: int, arrival: Arrival, named: KeptAs, outcome: Outcome) -> int:
    """Write a batch and its recipients as `storing`; return its id."""
    transaction = arrival.transaction
    row: dict[str, Any] = {
        "mailing_id": mailing_id,
        "state": BatchState.STORING.value,
        "gathered": outcome.gathered,
        "identity": named.identity,
        "origin": named.origin,
        "size": len(transaction.content),
        "listener": transaction.listener,
        "client": client_to_row(transaction.client),
        "login": transaction.login,
        "authenticated": transaction.authenticated,
        "sender": transaction.sender,
        "parameters": list(transaction.parameters),
        "message_id": arrival.facts.message_id,
        "content_digest": arrival.facts.content_digest,
        "body": named.body,
        "trace": arrival.trace,
        "reasons": reasons_to_rows(outcome.verdict.reasons),
        "received_at": arrival.now.timestamp(),
        "notify": arrival.notify,
        "owners": list(arrival.source.owners),
        "recipients": len(transaction.recipients),
        **dict.fromkeys(("sent", "refused", "expired"), 0),
    }
    batch_id: int = connection.execute(insert(batches).values(**row).returning(batches.c.id)).scalar_one()
    agency_of = arrival.audience.users.get
    recipients = [
        _recipient_row(batch_id, position, recipient) | {"agency": agency_of(normalise(recipient.address))}
        for position, recipient in enumerate(transaction.recipients)
    ]
    connection.execute(insert(batch_recipients), recipients)
    matter_people.note(connection, matter_people.MAILING, mailing_id, matter_people.OWN, arrival.source.owners)
    return batch_id


def write_reasons(connection: Connection, reasons: Mapping[int, tuple[Reason, ...]]) -> None:
    """Write the reasons of batches that were judged again, by id. What repairs they name is done when they are sent."""
    together: defaultdict[tuple[Reason, ...], list[int]] = defaultdict(list)
    for id, of_batch in reasons.items():
        together[of_batch].append(id)
    for of_batches, ids in together.items():
        changed = update(batches).where(batches.c.id.in_(ids))
        connection.execute(changed.values(reasons=reasons_to_rows(of_batches)))


def repair_alike(connection: Connection, mailing_id: int, content_digest: str, reasons: tuple[Reason, ...]) -> None:
    """Write these reasons, which name a repair, to all held batches of the same content.

    They came while the mailing was too small for it.
    """
    alike = (batches.c.mailing_id == mailing_id, batches.c.content_digest == content_digest)
    kept = batches.c.state.in_((BatchState.HELD, BatchState.STORING))
    connection.execute(update(batches).where(*alike, kept).values(reasons=reasons_to_rows(reasons)))


def _recipient_row(batch_id: int, position: int, recipient: Recipient) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "position": position,
        "address": recipient.address,
        "parameters": list(recipient.parameters),
        "state": RecipientState.WAITING.value,
    }


# -- bodies ------------------------------------------------------------------------------------------------------


def open_body(connection: Connection, digest: bytes, size: int, now: float) -> int | None:
    """Begin to store a body; return the position of the first missing chunk, None where it is whole."""
    row = {"digest": digest, "size": size, "complete": False, "stored_at": now}
    statement = upsert(connection, bodies).values(**row)
    # A body that is there and that nothing else needs must not be removed before our batch is sealed.
    connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_={"stored_at": now}))
    if connection.execute(select(bodies.c.complete).where(bodies.c.digest == digest)).scalar_one():
        return None
    last = select(func.max(body_chunks.c.position)).where(body_chunks.c.digest == digest)
    position: int | None = connection.execute(last).scalar()
    return 0 if position is None else position + 1


def write_chunk(connection: Connection, digest: bytes, position: int, data: bytes) -> None:
    """Store one chunk; a second writer of the same body changes nothing."""
    row = {"digest": digest, "position": position, "data": data}
    statement = upsert(connection, body_chunks).values(**row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["digest", "position"]))


def store_whole(connection: Connection, digest: bytes, content: bytes, now: float) -> None:
    """Store a body in one transaction, for content that belongs to no batch and need not be quick."""
    position = open_body(connection, digest, len(content), now)
    for start in range(len(content) if position is None else position * CHUNK, len(content), CHUNK):
        write_chunk(connection, digest, start // CHUNK, content[start : start + CHUNK])
    connection.execute(update(bodies).where(bodies.c.digest == digest).values(complete=True))


def seal(connection: Connection, batch_id: int, digest: bytes) -> bool:
    """Mark the body whole and its batch held or gathered: from the commit of this on, it may be acknowledged.

    The body's digest is written again, because a resend that completes a batch may have come with another Received
    field. Returns False where the mailing was decided since: the batch is removed, and the transaction must be decided
    again.
    """
    connection.execute(update(bodies).where(bodies.c.digest == digest).values(complete=True))
    found = lock_states(connection, batch_id)
    if found is None:
        return False
    state, mailing_state, mailing_id = found
    if state != BatchState.STORING:
        return True
    kept = _SEALED.get(mailing_state)
    if kept is None:
        removal.remove_unsealed(connection, [batch_id])
        return False
    changes = {"state": kept.value, "body": digest, "place": next_place(connection, mailing_id)}
    connection.execute(update(batches).where(batches.c.id == batch_id).values(**changes))
    return True


def next_place(connection: Connection, mailing_id: int) -> int:
    """Return the place of a batch that becomes durable now: people who looked at its mailing earlier have not seen
    it.
    """
    counting = update(mailings).where(mailings.c.id == mailing_id).values(kept=func.coalesce(mailings.c.kept, 0) + 1)
    return int(connection.execute(counting.returning(mailings.c.kept)).scalar_one())


_SEALED = {MailingState.HELD.value: BatchState.HELD, MailingState.GATHERING.value: BatchState.GATHERED}


def lock_states(connection: Connection, batch_id: int) -> tuple[str, str, int] | None:
    """Return the states of a batch and its mailing, and the mailing's key, locked.

    None where the batch was removed, or has just been moved to another mailing (Postgres).
    """
    query = (
        select(batches.c.state, mailings.c.state, mailings.c.id)
        .join(mailings, batches.c.mailing_id == mailings.c.id)
        .where(batches.c.id == batch_id)
        .with_for_update()
    )
    found = connection.execute(query).first()
    return (found[0], found[1], found[2]) if found else None


def read_body(connection: Connection, digest: bytes) -> bytes:
    """Return a body whole."""
    return b"".join(read_chunks(connection, digest))


def read_chunks(connection: Connection, digest: bytes) -> Iterator[bytes]:
    """Yield the chunks of a body, in order."""
    query = select(body_chunks.c.data).where(body_chunks.c.digest == digest).order_by(body_chunks.c.position)
    for data in connection.execute(query).scalars():
        yield bytes(data)
