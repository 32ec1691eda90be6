"""What is removed because nobody needs it any more: content and addresses of mail that passed as ordinary.

A batch that was gathered is kept whole until its mailing has ended. Where that ends below `mass` nothing of it is a
record: once every recipient has an answer, bodies, recipients, senders and subject go; where recipients were refused
and nobody could be told, 30 days later. What stays is a row a batch with the keyed hash by which a resend is known, and
the numbers of the mailing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, exists, or_, select

from gatekeeper.lifecycle import UNACKNOWLEDGED, BatchState, MailingState
from gatekeeper.store import removal, rest
from gatekeeper.store.db.schema import (
    batches,
    bodies,
    jobs,
    mailings,
    release_tokens,
)
from gatekeeper.store.jobs import FAILED_SECONDS, RELEASE
from gatekeeper.store.preserved import kept, ordinary_kept

_LOOKED_AT = 20  # mailings at once
_SETTLED_SECONDS = 60.0  # in which a body may be one that somebody begins to store again
_ENDED = (BatchState.SENT.value, BatchState.RETURNED.value)


def find_passed(connection: Connection, now: float, limit: int = 20) -> list[int]:
    """Return mailings that were gathered, have ended as ordinary mail, and that nothing keeps; up to `limit`.

    Args: `now` in seconds since 1970. A mailing that is growing at this moment is left for the next time.
    """
    found: list[int] = []
    last = 0
    while len(found) < limit:
        query = _finished(now).where(mailings.c.id > last).order_by(mailings.c.id).limit(_LOOKED_AT)
        keys = list(connection.execute(query).scalars())
        held = kept(connection, keys)
        found += [key for key in keys if key not in held]
        if len(keys) < _LOOKED_AT:
            break
        last = keys[-1]
    return found[:limit]


def forget_passed(connection: Connection, now: float, among: Collection[int] | None = None) -> int:
    """Remove what is left of such mailings; return their number.

    Args: `among` those that were found beside the writer.
    """
    keys = find_passed(connection, now) if among is None else among
    query = _finished(now).where(mailings.c.id.in_(keys)).with_for_update(skip_locked=True)
    return sum(_forget(connection, key, now) for key in list(connection.execute(query).scalars()))


def _finished(now: float) -> Select[Any]:
    """Select mailings that were gathered and have ended, were never mass nor held, and are on their way to nobody."""
    own = batches.c.mailing_id == mailings.c.id
    given_up = and_(jobs.c.state == "failed", jobs.c.kind == RELEASE, jobs.c.due_at > now - FAILED_SECONDS)
    young = bodies.c.digest == batches.c.body, bodies.c.stored_at > now - _SETTLED_SECONDS
    return select(mailings.c.id).where(
        mailings.c.number.is_not(None),
        mailings.c.sender.is_not(None),
        mailings.c.state.in_((MailingState.OPEN, MailingState.DENIED)),
        or_(mailings.c.state == MailingState.OPEN, mailings.c.held_at.is_(None)),
        ~mailings.c.mass,
        exists().where(own, batches.c.gathered),
        ~exists().where(own, batches.c.state.not_in(_ENDED)),
        ~exists().where(own, *young),
        ~exists().where(jobs.c.mailing_id == mailings.c.id, or_(jobs.c.state == "due", given_up)),
    )


def _forget(connection: Connection, key: int, now: float) -> bool:
    """Remove what is left of a mailing; return False where something keeps it since it was found."""
    if not removal.free(connection, [key]):
        return False
    digests = removal.forget_mailing(connection, key)
    while digests and forget_bodies(connection, now - _SETTLED_SECONDS, digests):
        pass
    return True


def forget_unsealed(connection: Connection, before: float) -> int:
    """Remove batches decided before that time that were never sealed: nobody was told that they are stored.

    The people that they would have reached stay counted: forgetting somebody who may have been reached would be the
    worse fault.
    """
    found = {state: _unsealed(connection, state, before) for state in UNACKNOWLEDGED}
    if storing := found[BatchState.STORING]:
        removal.remove_unsealed(connection, storing)
    for id in found[BatchState.PASSING]:
        rest.drop_rest(connection, id)
    return sum(map(len, found.values()))


def _unsealed(connection: Connection, state: BatchState, before: float) -> list[int]:
    query = select(batches.c.id).where(batches.c.state == state, batches.c.received_at < before)
    return list(connection.execute(query.with_for_update(skip_locked=True)).scalars())  # not one that is being sealed


def forget_bodies(connection: Connection, before: float, among: Collection[bytes] | None = None) -> int:
    """Remove up to 100 bodies that nothing needs; return their number.

    Args: `before` spares a body that somebody has begun to store since; `among` are the digests to look at, None for
    all.
    """
    return removal.remove_bodies(connection, before, among)


def forget_tokens(connection: Connection, before: float) -> None:
    """Remove the tokens that programs before this one gave to released mail until then (seconds since 1970)."""
    connection.execute(delete(release_tokens).where(release_tokens.c.issued_at < before))


def find_ordinary(connection: Connection, before: float, limit: int = 500) -> list[int]:
    """Return mailings without a number that began before that time, and that nothing keeps; up to `limit`."""
    query = (
        select(mailings.c.id)
        .where(mailings.c.number.is_(None), mailings.c.state == MailingState.OPEN, mailings.c.started_at < before)
        .where(~ordinary_kept(connection))
        .order_by(mailings.c.started_at)  # by the index that has it: SQLite would read all that have no number
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def forget_ordinary(
    connection: Connection, before: float, limit: int = 500, among: Collection[int] | None = None
) -> int:
    """Remove mailings without a number that began before that time: of these only hashes were stored.

    Args: `among` those that were found beside the writer.
    """
    return removal.remove_ordinary(connection, find_ordinary(connection, before, limit) if among is None else among)
