"""The rest of a message that passes: for the recipients beyond the next hop's limit, who get it in further parts.

It is written with the decision as `passing`, and its body made durable, before the first part goes to the next hop.
When the next hop has taken that, the rest is released: from this commit on the client may be told that all of it is
taken. A crash before leaves a rest of which no client was told; the client sends the whole message again.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, exists, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState
from gatekeeper.model import Outcome
from gatekeeper.store import jobs, removal
from gatekeeper.store.batches import keep_batch, lock_states, next_place
from gatekeeper.store.db.schema import batches, bodies, mailings, permit_uses
from gatekeeper.store.permit_views import keys_of
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def keep_rest(unit: UnitOfWork, pending: PendingDecision, mailing_id: int, outcome: Outcome) -> int:
    """Write the rest of a message that passes; return the id of its batch.

    A resend of the whole message is known by it. It is marked as gathered mail that passes: nothing of it is left where
    its mailing ends as ordinary mail.
    """
    arrival, named = pending.arrival, unit.kept_as(pending)
    transaction = replace(arrival.transaction, recipients=arrival.transaction.rest, beyond=0)
    as_gathered = replace(outcome, gathered=True)
    id = keep_batch(unit.connection, mailing_id, replace(arrival, transaction=transaction), named, as_gathered)
    under = keys_of(unit.connection, outcome.verdict.permits)
    changes = {"state": BatchState.PASSING.value, "permits": under}
    unit.connection.execute(update(batches).where(batches.c.id == id).values(**changes))
    return id


@immutable
class Rest:
    """The rest of a message whose first part the next hop has taken."""

    batch: int
    body: bytes  # digest
    trace: bytes  # header fields that go before it


def release_rest(connection: Connection, rest: Rest, now: float) -> bool:
    """Queue the rest for sending; from the commit of this on, the message may be acknowledged.

    Where a permit under which it passes was revoked meanwhile, its mailing is held, and the rest with it. Returns False
    where the rest is gone, so that the client has to send the message again.
    """
    found = lock_states(connection, rest.batch)
    if found is None or found[0] != BatchState.PASSING:
        return False
    _, mailing_state, mailing_id = found
    connection.execute(update(bodies).where(bodies.c.digest == rest.body).values(complete=True))
    is_held = mailing_state == MailingState.HELD and _is_under_permit(connection, rest.batch)
    state = BatchState.HELD if is_held else BatchState.RELEASED
    changes = {"state": state.value, "body": rest.body, "trace": rest.trace}
    place = next_place(connection, mailing_id)
    connection.execute(update(batches).where(batches.c.id == rest.batch).values(**changes, place=place))
    if not is_held:
        jobs.enqueue_release(connection, now, mailing_id=mailing_id, batch_id=rest.batch)
    return True


def _is_under_permit(connection: Connection, batch_id: int) -> bool:
    return bool(connection.execute(select(batches.c.permits).where(batches.c.id == batch_id)).scalar_one())


def drop_rest(connection: Connection, batch_id: int) -> None:
    """Remove a rest whose first part the next hop has not taken: the client has the whole message still."""
    found = lock_states(connection, batch_id)
    if found is None or found[0] != BatchState.PASSING:
        return
    _, mailing_state, mailing_id = found
    removal.remove_unsealed(connection, [batch_id])
    if mailing_state == MailingState.OPEN and _is_ordinary(connection, mailing_id):
        removal.forget_mailing(connection, mailing_id)


def _is_ordinary(connection: Connection, mailing_id: int) -> bool:
    """Return True for a mailing that has its name only because of a rest that was kept."""
    own = (batches.c.mailing_id == mailings.c.id, permit_uses.c.mailing_id == mailings.c.id)
    query = select(mailings.c.id).where(mailings.c.id == mailing_id, ~mailings.c.mass, mailings.c.held_at.is_(None))
    query = query.where(*(~exists().where(each) for each in own))
    return connection.execute(query).first() is not None
