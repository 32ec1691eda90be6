"""What happened to a mailing, and who did it."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from gatekeeper.store.schema import events


def record(
    connection: Connection,
    mailing_id: int,
    at: float,
    act: str,
    *,
    by: str | None = None,
    login: str | None = None,
    text: str | None = None,
) -> None:
    """Write one event of a mailing's timeline; `login` is the operating system's, of a person's act."""
    row = {"mailing_id": mailing_id, "at": at, "act": act, "by": by, "login": login, "text": text}
    connection.execute(insert(events).values(**row))
