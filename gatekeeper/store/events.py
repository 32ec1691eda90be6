"""The timeline: what happened to a mailing, a request, a permit or a suspension, and who did it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from sqlalchemy import Connection, insert

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import events


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
    details: Mapping[str, Any] | None = None


_COLUMNS = tuple(each.name for each in fields(Event) if each.name != "details")


def record(connection: Connection, event: Event) -> None:
    """Write one event of a timeline."""
    row: dict[str, Any] = {name: getattr(event, name) for name in _COLUMNS}
    if event.details:
        row["details"] = dict(event.details)
    connection.execute(insert(events).values(**row))


@immutable
class Act:
    """A person's act: when, by which identity, under which login of the operating system, and why."""

    at: float
    by: str
    login: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # of an approval: what was seen, and the terms
