"""All held mailings with what says who decides about them, in a few queries however many there are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, func, select, true

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState
from gatekeeper.store.db.schema import batches, events, mailings
from gatekeeper.store.events import ASKED, ESCALATED
from gatekeeper.store.rows import mailing_name, owners_of
from gatekeeper.store.versions import AGREED
from gatekeeper.store.views import NUMBERED


@immutable
class HeldFacts:
    """What says who decides about a held mailing, and what a queue shows of it."""

    key: int
    id: str
    sender: str
    subject: str
    users: int
    agency: str | None  # of the sender, when it got its number
    held_at: float
    rules: tuple[str, ...]
    lists: frozenset[str]
    agencies: frozenset[str]  # that it reaches
    owner: str = ""  # of its oldest held batch that has one
    parties: frozenset[str] = frozenset()  # owners of any held batch
    logins: frozenset[str] = frozenset()
    is_stored: bool = False  # a batch of it is held
    also: frozenset[str] = frozenset()  # whom somebody has asked as well, since it was held
    passed_on: bool = False
    agreed: frozenset[str] = frozenset()  # who has agreed since it was held, to this or an earlier state


_COLUMNS = tuple(
    mailings.c[name]
    for name in ("id", "number", "sender", "subject", "users", "agency", "held_at", "reasons", "lists", "agencies")
)


def held_facts(connection: Connection, key: int | None = None) -> list[HeldFacts]:
    """Return all held mailings, the longest held first; or the one of that key."""
    chosen = true() if key is None else mailings.c.id == key
    query = select(*_COLUMNS).where(*NUMBERED, mailings.c.state == MailingState.HELD, chosen)
    query = query.where(mailings.c.held_at.is_not(None))
    rows = connection.execute(query.order_by(mailings.c.held_at, mailings.c.id)).all()
    senders = {row.id: row.sender or "" for row in rows}
    stored, steps = _stored(connection, senders, key), _steps(connection, chosen)
    return [_facts(row, stored.get(row.id, _Stored()), steps.get(row.id, _Steps())) for row in rows]


@dataclass(slots=True)
class _Stored:
    """Whose the held batches of a mailing are."""

    owner: str = ""
    parties: set[str] = field(default_factory=set)
    logins: set[str] = field(default_factory=set)
    is_any: bool = False


@dataclass(slots=True)
class _Steps:
    """What people did about a mailing since it was held."""

    also: set[str] = field(default_factory=set)
    passed_on: bool = False
    agreed: set[str] = field(default_factory=set)


def _facts(row: Any, stored: _Stored, steps: _Steps) -> HeldFacts:
    return HeldFacts(
        key=row.id,
        id=mailing_name(row.number) or "",
        sender=row.sender or "",
        subject=row.subject or "",
        users=row.users,
        agency=row.agency,
        held_at=row.held_at,
        rules=tuple(reason["rule"] for reason in row.reasons),
        lists=frozenset(row.lists),
        agencies=frozenset(row.agencies),
        owner=stored.owner,
        parties=frozenset(stored.parties),
        logins=frozenset(stored.logins),
        is_stored=stored.is_any,
        also=frozenset(steps.also),
        passed_on=steps.passed_on,
        agreed=frozenset(steps.agreed),
    )


def _stored(connection: Connection, senders: Mapping[int, str], key: int | None) -> dict[int, _Stored]:
    """Return whose the held batches are: of a mailing of a thousand alike batches one row is read."""
    owners, login, first = cast(batches.c.owners, Text), batches.c.login, func.min(batches.c.id)
    chosen = true() if key is None else batches.c.mailing_id == key
    query = select(batches.c.mailing_id, owners, login).where(batches.c.state == BatchState.HELD, chosen)
    rows = connection.execute(query.group_by(batches.c.mailing_id, owners, login).order_by(first))
    found: defaultdict[int, _Stored] = defaultdict(_Stored)
    for mailing_id, text, name in rows:
        stored = found[mailing_id]
        own = owners_of(json.loads(text) if text else None, senders.get(mailing_id))
        stored.owner = stored.owner or (own[0] if own else "")
        stored.parties.update(own)
        stored.logins.update({name} if name else ())
        stored.is_any = True
    return found


def _steps(connection: Connection, chosen: ColumnElement[bool]) -> dict[int, _Steps]:
    """Return what people did about held mailings since they were held."""
    query = select(events.c.mailing_id, events.c.act, events.c.by, events.c.text)
    query = query.join(mailings, mailings.c.id == events.c.mailing_id)
    query = query.where(mailings.c.state == MailingState.HELD, chosen, events.c.at >= mailings.c.held_at)
    found: defaultdict[int, _Steps] = defaultdict(_Steps)
    for mailing_id, act, by, text in connection.execute(query.where(events.c.act.in_((ASKED, ESCALATED, AGREED)))):
        steps = found[mailing_id]
        steps.passed_on = steps.passed_on or act == ESCALATED
        if act == ASKED:
            steps.also.add(text or "")
        elif act == AGREED and by:
            steps.agreed.add(by)
    return found
