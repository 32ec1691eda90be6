"""What else the people whom a mailing reaches get about then, and what its sender has sent before."""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Any

from sqlalchemy import Connection, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState, RequestState
from gatekeeper.store.db.schema import IS_MASS, mailings, requests
from gatekeeper.store.filters import Viewer, lists, seen_by
from gatekeeper.store.lists import sees_request
from gatekeeper.store.matter_people import MAILING, REQUEST
from gatekeeper.store.rows import mailing_name
from gatekeeper.store.views import NUMBERED

_MOST = 100  # the largest ones, of which those of the same people are chosen
_SPAN = 7 * 86_400.0
_QUARTER = 90 * 86_400.0
_OVER = (RequestState.DENIED, RequestState.WITHDRAWN, RequestState.REVOKED, RequestState.EXPIRED)


@immutable
class Neighbour:
    """A mailing or a request that reaches some of the same people."""

    id: str
    state: str
    subject: str
    sender: str
    users: int
    at: float | None  # of a mailing
    planned: str | None  # of a request, as an ISO day
    shared: tuple[str, ...]  # agencies and lists of both


@immutable
class SenderRecord:
    """What a sender has sent in the last 90 days."""

    mailings: int = 0
    denied: int = 0
    held: int = 0


@immutable
class DeclaredAudience:
    """The agencies and lists for which a request asks."""

    request: str
    audiences: tuple[str, ...]


def mailings_beside(
    connection: Connection, audience: Set[str], at: float, seen: Viewer | None, but: int | None = None
) -> list[Neighbour]:
    """Return the mailings to many of seven days before and after a moment that reach some of the same people.

    Args: `audience` are agencies and lists; `seen` is who looks, None for who sees all; `but` is the key of the mailing
    that they are beside.
    """
    if not audience:
        return []
    columns = (mailings.c[name] for name in ("number", "state", "subject", "sender", "users", "agencies", "lists"))
    query = select(*columns, mailings.c.started_at).where(*NUMBERED, IS_MASS)
    query = query if but is None else query.where(mailings.c.id != but)
    query = query.where(mailings.c.started_at.between(at - _SPAN, at + _SPAN))
    query = query.where(seen_by(seen, MAILING, mailings.c.id, mailings.c.agency))
    same = (or_(lists(mailings.c.agencies, each), lists(mailings.c.lists, each)) for each in audience)
    rows = connection.execute(query.where(or_(*same)).order_by(mailings.c.users.desc()).limit(_MOST))
    return [
        Neighbour(
            id=mailing_name(row.number) or "",
            state=row.state,
            subject=row.subject or "",
            sender=row.sender or "",
            users=row.users,
            at=row.started_at,
            planned=None,
            shared=tuple(sorted(audience & {*row.agencies, *row.lists})),
        )
        for row in rows
    ]


def requests_beside(
    connection: Connection, audience: Set[str], days: tuple[str, str], seen: Viewer | None, but: int | None = None
) -> list[Neighbour]:
    """Return the requests that are planned between two ISO days for some of the same people.

    Args: as above; `but` is the number of the request that they are beside.
    """
    if not audience:
        return []
    query = select(requests).where(requests.c.planned.between(*days), requests.c.state.not_in(_OVER))
    query = query if but is None else query.where(requests.c.number != but)
    query = query.where(seen_by(seen, REQUEST, requests.c.id, requests.c.agency))
    same = or_(*(lists(requests.c.audiences, each) for each in audience))
    rows = connection.execute(query.where(same).order_by(requests.c.users.desc()).limit(_MOST)).mappings()
    return [
        Neighbour(
            id=f"R-{row['number']}",
            state=row["state"],
            subject=row["subject"],
            sender=row["requester"],
            users=row["users"],
            at=None,
            planned=row["planned"],
            shared=tuple(sorted(audience & {*row["audiences"]})),
        )
        for row in rows
    ]


def declared_audience(
    connection: Connection, senders: Collection[str], subject: str, seen: Viewer | None
) -> DeclaredAudience | None:
    """Return for whom the newest request asks that is for mail of one of these senders with this subject.

    Args: `subject` is a key of a subject; `seen` as above.
    """
    named = (lists(requests.c.senders, each) for each in senders)
    query = select(requests.c.number, requests.c.audiences).where(
        requests.c.subject_key == subject, requests.c.state.not_in(_OVER), or_(*named), sees_request(seen)
    )
    row = connection.execute(query.order_by(requests.c.number.desc()).limit(1)).first() if subject else None
    return DeclaredAudience(f"R-{row.number}", tuple(row.audiences)) if row else None


def record_of(connection: Connection, sender: str, now: float) -> SenderRecord:
    """Return what a sender has sent in the last 90 days."""
    query = select(mailings.c.state, func.count(), func.count(mailings.c.held_at)).where(
        *NUMBERED, mailings.c.sender == sender, mailings.c.started_at >= now - _QUARTER
    )
    found: dict[str, Any] = {}
    held = all_ = 0
    for state, number, was_held in connection.execute(query.group_by(mailings.c.state)):
        found[state] = number
        held, all_ = held + was_held, all_ + number
    return SenderRecord(all_, found.get(MailingState.DENIED, 0), held)
