"""Held mailings that wait for people: which steps were done for each since it was held, and its held batches.

Steps are written to the timeline, so that of several processes one does each: it locks the mailing, checks that the
step is still due, and notes it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState
from gatekeeper.store.db.schema import batches, bodies, events, mailings
from gatekeeper.store.events import ESCALATED, NOTIFIED, REMINDED
from gatekeeper.store.rows import owners_of
from gatekeeper.store.tallies import WAITING
from gatekeeper.store.views import NUMBERED

_SHOWN = (mailings.c.id, mailings.c.held_at, mailings.c.sender, mailings.c.subject)


@immutable
class HeldMailing:
    """A held mailing: when it was held, and when each step was last taken for this hold; in seconds since 1970."""

    key: int
    held_at: float
    sender: str
    subject: str
    steps: dict[str, float]


@immutable
class HeldBatches:
    """The senders of a mailing's held batches, and its oldest message."""

    logins: frozenset[str]
    senders: frozenset[str]  # of the envelopes
    parties: frozenset[str]  # owners of any batch
    owners: frozenset[str]  # owners of every batch
    owner: str  # of the oldest that has one
    told: Mapping[str, str | None]  # each mailbox that letters go to, and the Message-ID of its oldest batch
    message_id: str | None  # of the oldest batch
    body: bytes  # of the oldest batch
    batches: int
    octets: int
    recipients: int  # that wait


def held_mailings(connection: Connection) -> list[HeldMailing]:
    """Return all held mailings, the oldest first."""
    return _read(connection, _steps().order_by(mailings.c.held_at, mailings.c.id))


def lock_held(connection: Connection, key: int) -> HeldMailing | None:
    """Return one held mailing, locked until the transaction ends; None where it is no longer held."""
    locked = connection.execute(select(mailings.c.id).where(mailings.c.id == key).with_for_update()).first()
    return next(iter(_read(connection, _steps().where(mailings.c.id == key))), None) if locked else None


def _read(connection: Connection, query: Select[Any]) -> list[HeldMailing]:
    found: dict[int, HeldMailing] = {}
    for row in connection.execute(query):
        held = found.setdefault(row.id, HeldMailing(row.id, row.held_at, row.sender or "", row.subject or "", {}))
        if row.act is not None:
            held.steps[row.act] = row.at
    return list(found.values())


def _steps() -> Select[Any]:
    since = and_(
        events.c.mailing_id == mailings.c.id,
        events.c.at >= mailings.c.held_at,
        events.c.act.in_((NOTIFIED, REMINDED, ESCALATED)),
    )
    return (
        select(*_SHOWN, events.c.act, func.max(events.c.at).label("at"))
        .outerjoin(events, since)
        .where(*NUMBERED, mailings.c.state == MailingState.HELD, mailings.c.held_at.is_not(None))
        .group_by(*_SHOWN, events.c.act)
    )


def held_batches(connection: Connection, key: int) -> HeldBatches | None:
    """Return the held batches of a mailing; None while none of them is acknowledged."""
    kept = (batches.c.mailing_id == key, batches.c.state == BatchState.HELD)
    columns = (batches.c.login, batches.c.sender, batches.c.notify, batches.c.message_id, batches.c.body)
    also = (batches.c.owners, mailings.c.sender.label("mailing_sender"), bodies.c.size)
    query = select(*columns, *also).join(bodies, bodies.c.digest == batches.c.body)
    query = query.join(mailings, mailings.c.id == batches.c.mailing_id).where(*kept)
    rows = connection.execute(query.order_by(batches.c.id)).all()
    if not rows:
        return None
    owners = [owners_of(row.owners, row.mailing_sender) for row in rows]
    told: dict[str, str | None] = {}
    for each, row in zip(owners, rows, strict=True):
        if each and row.notify:
            told.setdefault(each[0], row.message_id)
    return HeldBatches(
        logins=frozenset(row.login for row in rows if row.login),
        senders=frozenset(row.sender for row in rows),
        parties=frozenset().union(*owners),
        owners=frozenset(owners[0]).intersection(*owners),
        owner=next((each[0] for each in owners if each), ""),
        told=told,
        message_id=rows[0].message_id,
        body=bytes(rows[0].body),
        batches=len(rows),
        octets=sum(row.size for row in rows),
        recipients=_waiting(connection, key),
    )


def _waiting(connection: Connection, key: int) -> int:
    kept = (batches.c.mailing_id == key, batches.c.state == BatchState.HELD)
    return int(connection.execute(select(func.sum(WAITING)).where(*kept)).scalar() or 0)


def held_since(connection: Connection, key: int) -> float:
    """Return when a mailing was last held; 0 where it never was."""
    return connection.execute(select(mailings.c.held_at).where(mailings.c.id == key)).scalar() or 0.0


def bodies_of(connection: Connection, key: int) -> list[bytes]:
    """Return one body for each different content that is held of a mailing, in the order of arrival."""
    query = select(batches.c.content_digest, batches.c.body).order_by(batches.c.id)
    found: dict[str, bytes] = {}
    for digest, body in connection.execute(
        query.where(batches.c.mailing_id == key, batches.c.state == BatchState.HELD)
    ):
        found.setdefault(digest, bytes(body))
    return list(found.values())
