"""The timeline: what happened to a mailing, a request, a permit, a suspension, a case or a hold, and who."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from sqlalchemy import Connection, func, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain, matter_people
from gatekeeper.store.db.schema import events

NOTIFIED, REMINDED, ESCALATED, ASKED, INFORMED = "told", "reminded", "passed on", "asked", "informed"
UNDELIVERED = "not delivered"
GATE = "gate"  # the login of what the gate does by itself
_ASKING = frozenset({NOTIFIED, REMINDED, ESCALATED, ASKED})  # acts whose text has whom they asked
_DECIDING = frozenset({"agreed", "approved", "approved in part", "denied", "returned", "changes asked"})


@immutable
class Event:
    """One event of a timeline, before it is written."""

    at: float
    act: str
    mailing_id: int | None = None
    by: str | None = None
    login: str | None = None  # of the operating system, for a person's act
    text: str | None = None
    request_id: int | None = None
    permit_id: int | None = None
    suspension_id: int | None = None
    case_id: int | None = None
    preserve_id: int | None = None
    disposal_id: int | None = None
    details: Mapping[str, Any] | None = None


_COLUMNS = tuple(each.name for each in fields(Event) if each.name != "details")


def record(connection: Connection, event: Event) -> None:
    """Write one event of a timeline; a person's act is in the chain of acts as well."""
    row: dict[str, Any] = {name: getattr(event, name) for name in _COLUMNS}
    if event.details:
        row["details"] = dict(event.details)
    written = connection.execute(insert(events).values(**row)).inserted_primary_key
    if event.by or event.login:
        assert written is not None
        audit_chain.note(connection, {**row, "row": [events.name, written[0]]})
    if event.act in _ASKING | _DECIDING:
        _note_asked(connection, event)


def _note_asked(connection: Connection, event: Event) -> None:
    """Note who was asked to decide, so that they find in their lists what they may see."""
    people = asked_by(event.act, event.by, event.text)
    keys = (event.mailing_id, event.request_id, event.permit_id)
    for kind, key in zip((matter_people.MAILING, matter_people.REQUEST, matter_people.PERMIT), keys, strict=True):
        if key is not None:
            matter_people.note(connection, kind, key, matter_people.ASKED, people)


def asked_by(act: str, by: str | None, text: str | None) -> frozenset[str]:
    """Return whom an event asked to decide, or who decided by it."""
    if act in _ASKING:
        return frozenset(each for each in (text or "").split(", ") if each)
    return frozenset({by}) if by and act in _DECIDING else frozenset()


@immutable
class Act:
    """A person's act: when, by which identity, under which login of the operating system, and why."""

    at: float
    by: str
    login: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # of an approval: what was seen, and the terms


def newest(connection: Connection) -> int:
    """Return the number of the newest event; 0 where there is none."""
    return connection.execute(select(func.max(events.c.id))).scalar() or 0


def matters_after(connection: Connection, after: int, most: int) -> tuple[set[int], set[int]]:
    """Return the keys of mailings and of requests that events after one are about."""
    query = select(events.c.mailing_id, events.c.request_id).where(events.c.id > after)
    rows = connection.execute(query.order_by(events.c.id.desc()).limit(most)).all()
    return {row[0] for row in rows if row[0] is not None}, {row[1] for row in rows if row[1] is not None}
