"""Requests that somebody has begun to write on the console and not submitted yet, one a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import unfinished_requests


@immutable
class Unfinished:
    """What somebody has written so far. Args: `content` is the message that they want approved."""

    values: Mapping[str, Any]
    content: bytes | None = None


def find(connection: Connection, address: str) -> Unfinished | None:
    """Return what somebody has begun; None where they have begun nothing."""
    table = unfinished_requests
    row = connection.execute(select(table).where(table.c.address == address)).mappings().first()
    if row is None:
        return None
    return Unfinished(row["answers"], None if row["content"] is None else bytes(row["content"]))


def keep(connection: Connection, address: str, unfinished: Unfinished, now: float) -> None:
    """Store what somebody has written so far, in place of what they had."""
    drop(connection, address)
    row = {"address": address, "answers": dict(unfinished.values), "content": unfinished.content, "changed_at": now}
    connection.execute(insert(unfinished_requests).values(row))


def drop(connection: Connection, address: str) -> None:
    """Forget what somebody has begun."""
    connection.execute(delete(unfinished_requests).where(unfinished_requests.c.address == address))


def forget(connection: Connection, before: float) -> None:
    """Forget what nobody has touched since a time."""
    connection.execute(delete(unfinished_requests).where(unfinished_requests.c.changed_at < before))
