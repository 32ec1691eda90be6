"""The timeline: what happened to a mailing, a request, a permit or a suspension, and who did it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, insert

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import events


def record(
    connection: Connection,
    mailing_id: int | None,
    at: float,
    act: str,
    *,
    by: str | None = None,
    login: str | None = None,
    text: str | None = None,
    request_id: int | None = None,
    permit_id: int | None = None,
    suspension_id: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one event of a timeline; `login` is the operating system's, of a person's act."""
    row = {"mailing_id": mailing_id, "at": at, "act": act, "by": by, "login": login, "text": text}
    about = {"request_id": request_id, "permit_id": permit_id, "suspension_id": suspension_id}
    more = {"details": dict(details)} if details else {}
    connection.execute(insert(events).values(**row, **about, **more))


@immutable
class Act:
    """A person's act: when, by which identity, under which login of the operating system, and why."""

    at: float
    by: str
    login: str
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)  # of an approval: what was seen, and the terms
