"""Write people's decisions about a held mailing: approve all or a part of it, release, deny, withdraw, expire."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from gatekeeper.lifecycle import BatchState, MailingState, advance
from gatekeeper.store import jobs
from gatekeeper.store.batch_views import BatchView, addresses_of
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.mailing_match import open_successor
from gatekeeper.store.people import mark_all_reached, mark_reached
from gatekeeper.store.permit_uses import give_back
from gatekeeper.store.permit_views import keys_of, names_used
from gatekeeper.store.permits import Grant, grant
from gatekeeper.store.versions import IN_PART
from gatekeeper.store.views import MailingView


def note(connection: Connection, mailing: MailingView, name: str, act: Act) -> None:
    """Write a person's act to the mailing's timeline."""
    by, login, text = act.by or None, act.login or None, act.reason or None
    record(connection, Event(act.at, name, mailing_id=mailing.key, by=by, login=login, text=text, details=act.details))


def approve(connection: Connection, mailing: MailingView, kept: Sequence[BatchView], given: Grant, act: Act) -> str:
    """Give a permit for a held mailing and release its batches under it; return the permit's id.

    Raises LifecycleError where the mailing is not held. From the commit of this on, everybody whom the mailing counts
    may be reached.
    """
    state = advance(mailing.state, "approve")
    permit = grant(connection, given, act)
    _change(connection, mailing, state, act, "approved")
    release(connection, mailing.key, kept, [permit], act.at)
    return permit


def approve_part(
    connection: Connection, mailing: MailingView, chosen: Sequence[BatchView], given: Grant, act: Act
) -> str:
    """Give a permit for some of the held batches and release these; return the permit's id.

    The mailing stays held with the others. Raises LifecycleError where it is not held.
    """
    state = advance(mailing.state, "approve in part")
    permit = grant(connection, given, act)
    changed = update(mailings).where(mailings.c.id == mailing.key)
    connection.execute(changed.values(state=state.value, changed_at=act.at, version=mailings.c.version + 1))
    note(connection, mailing, IN_PART, act)
    mark_reached(connection, mailing.key, addresses_of(connection, [batch.id for batch in chosen]))
    _send_all(connection, mailing.key, chosen, [permit], act.at)
    return permit


def release(
    connection: Connection, mailing_key: int, kept: Sequence[BatchView], permits: list[str], now: float
) -> None:
    """Release the held batches of a mailing under these permits."""
    mark_all_reached(connection, mailing_key)
    _send_all(connection, mailing_key, kept, permits, now)


def _send_all(
    connection: Connection, mailing_key: int, kept: Sequence[BatchView], permits: list[str], now: float
) -> None:
    under = keys_of(connection, [*permits, *names_used(connection, mailing_key)])
    for batch in kept:
        if batch.state is BatchState.HELD:
            send_on(connection, mailing_key, batch.id, now, under)


def send_on(connection: Connection, mailing_key: int, batch_id: int, now: float, under: Sequence[int] = ()) -> None:
    """Queue a stored batch for sending; `under` are the keys of the permits that release it."""
    changes = {"state": BatchState.RELEASED.value, "permits": list(under)}
    connection.execute(update(batches).where(batches.c.id == batch_id).values(**changes))
    jobs.enqueue_release(connection, now, mailing_id=mailing_key, batch_id=batch_id)


class MailingInFlight(Exception):
    """Part of the mailing is being sent to the next hop: the outcome is known when that has answered."""


def close(connection: Connection, mailing: MailingView, name: str, act: Act, left: BatchState) -> None:
    """Deny, withdraw or expire a mailing: its kept batches are left `returned` or `withdrawn`, its keys detached.

    Raises LifecycleError where its state does not allow it, and MailingInFlight where a batch that was stopped is still
    at the next hop, so that nothing true can be said yet about what was not sent.
    """
    state = advance(mailing.state, name)
    held = (batches.c.mailing_id == mailing.key, batches.c.state == BatchState.HELD)
    ids = list(connection.execute(select(batches.c.id).where(*held)).scalars())
    if jobs.in_hand(connection, ids, act.at):
        raise MailingInFlight
    connection.execute(update(batches).where(*held).values(state=left.value))
    give_back(connection, mailing.key, act.at)
    open_successor(connection, mailing.key)
    _change(connection, mailing, state, act, state.value)


def _change(connection: Connection, mailing: MailingView, state: MailingState, act: Act, name: str) -> None:
    query = update(mailings).where(mailings.c.id == mailing.key)
    connection.execute(query.values(state=state.value, changed_at=act.at, look_again=None))
    note(connection, mailing, name, act)
