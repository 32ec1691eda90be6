"""What is removed because nobody needs it any more: content and addresses of mail that passed as ordinary.

A batch that was gathered is kept whole until its mailing has ended. Where that ends below `mass` nothing of it is a
record: once every recipient has an answer, bodies, recipients, senders and subject go; where recipients were refused
and nobody could be told, 30 days later. What stays is a row a batch with the keyed hash by which a resend is known, and
the numbers of the mailing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, exists, func, or_, select, update

from gatekeeper.lifecycle import BatchState, MailingState, RecipientState
from gatekeeper.store import matter_people
from gatekeeper.store.batches import remove_batches
from gatekeeper.store.db.schema import (
    batch_recipients,
    batches,
    bodies,
    body_chunks,
    events,
    jobs,
    mailing_keys,
    mailing_people,
    mailings,
    requests,
    shared_keys,
)
from gatekeeper.store.jobs import FAILED_SECONDS, RELEASE

_SETTLED_SECONDS = 60.0  # in which a body may be one that somebody begins to store again
_ENDED = (BatchState.SENT.value, BatchState.RETURNED.value)


def forget_passed(connection: Connection, now: float, limit: int = 20) -> int:
    """Remove what is left of mailings that were gathered and ended as ordinary mail; return their number.

    Args: `now` in seconds since 1970. A mailing that is growing at this moment is left for the next time.
    """
    keys = list(connection.execute(_finished(now).limit(limit).with_for_update(skip_locked=True)).scalars())
    for key in keys:
        _forget(connection, key, now)
    return len(keys)


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


def _forget(connection: Connection, key: int, now: float) -> None:
    own = select(batches.c.id).where(batches.c.mailing_id == key)
    digests = {bytes(digest) for digest in connection.execute(own.with_only_columns(batches.c.body)).scalars()}
    recipients = batch_recipients.c.batch_id.in_(own)
    sent = select(func.count()).where(recipients, batch_recipients.c.state == RecipientState.SENT)
    relayed = mailings.c.relayed + connection.execute(sent).scalar_one()
    connection.execute(delete(batch_recipients).where(recipients))
    matter_people.forget(connection, key)
    connection.execute(update(batches).where(batches.c.mailing_id == key).values(**_BLANK))
    connection.execute(update(jobs).where(jobs.c.mailing_id == key).values(recipient=None, content=None, error=None))
    nameless = {"sender": None, "subject": None, "relayed": relayed}
    connection.execute(update(mailings).where(mailings.c.id == key).values(**nameless))
    while forget_bodies(connection, now - _SETTLED_SECONDS, digests):
        pass


_BLANK: dict[str, Any] = {
    "client": {},
    "login": None,
    "sender": "",
    "parameters": [],
    "message_id": None,
    "content_digest": "",
    "body": b"",  # the digest of no body
    "trace": b"",
    "reasons": [],
    "owners": [],
    "origin": None,
    "size": None,
    **dict.fromkeys(("recipients", "sent", "refused", "expired"), 0),
}


def forget_unsealed(connection: Connection, before: float) -> int:
    """Remove batches decided before that time that were never sealed: nobody was told that they are stored.

    The people that they would have reached stay counted: forgetting somebody who may have been reached would be the
    worse fault.
    """
    query = select(batches.c.id).where(batches.c.state == BatchState.STORING, batches.c.received_at < before)
    ids = list(connection.execute(query.with_for_update(skip_locked=True)).scalars())  # not one that is being sealed
    if ids:
        remove_batches(connection, ids)
    return len(ids)


def forget_bodies(connection: Connection, before: float, among: Collection[bytes] | None = None) -> int:
    """Remove up to 100 bodies that no batch and no request needs; return their number.

    Args: `before` spares a body that somebody has begun to store since; `among` are the digests to look at, None for
    all.
    """
    needed = or_(exists().where(batches.c.body == bodies.c.digest), exists().where(requests.c.body == bodies.c.digest))
    query = select(bodies.c.digest).where(bodies.c.stored_at <= before, ~needed).limit(100)
    if among is not None:
        query = query.where(bodies.c.digest.in_(among))
    digests = [bytes(digest) for digest in connection.execute(query).scalars()]
    if digests:
        connection.execute(delete(body_chunks).where(body_chunks.c.digest.in_(digests)))
        connection.execute(delete(bodies).where(bodies.c.digest.in_(digests)))
    return len(digests)


def forget_ordinary(connection: Connection, before: float, limit: int = 500) -> int:
    """Remove mailings without a number that began before that time: of these only hashes were stored."""
    query = (
        select(mailings.c.id)
        .where(mailings.c.number.is_(None), mailings.c.state == MailingState.OPEN, mailings.c.started_at < before)
        .order_by(mailings.c.started_at)  # by the index that has it: SQLite would read all that have no number
        .limit(limit)
    )
    ids = list(connection.execute(query).scalars())
    if ids:
        # a notice that is still to be sent does not keep the hashes of what it was about
        own = jobs.c.mailing_id.in_(ids)
        connection.execute(update(jobs).where(own, jobs.c.state != "due").values(recipient=None, error=None))
        connection.execute(update(jobs).where(own).values(mailing_id=None))
        for table in (mailing_keys, shared_keys, mailing_people, events):
            connection.execute(delete(table).where(table.c.mailing_id.in_(ids)))
        connection.execute(delete(mailings).where(mailings.c.id.in_(ids)))
    return len(ids)
