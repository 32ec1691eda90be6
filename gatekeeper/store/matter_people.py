"""Whose a mailing, request or permit is, and who was asked about it: what lists of one person's are found by."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Select, delete, literal, select

from gatekeeper.store.db.schema import matter_people
from gatekeeper.store.db.statements import upsert

MAILING, REQUEST, PERMIT = "mailing", "request", "permit"
OWN, ASKED = "own", "asked"


def note(connection: Connection, kind: str, key: int, role: str, people: Iterable[str]) -> None:
    """Note people of a matter, each once."""
    rows = [{"address": each, "kind": kind, "matter_id": key, "role": role} for each in sorted(set(people)) if each]
    if rows:
        connection.execute(upsert(connection, matter_people).on_conflict_do_nothing(), rows)


def keys_of(kind: str, address: str, role: str | None = None) -> Select[int]:
    """Select the keys of all mailings, requests or permits of a person; in one role, where named."""
    query = select(matter_people.c.matter_id).where(matter_people.c.address == address, matter_people.c.kind == kind)
    return query if role is None else query.where(matter_people.c.role == role)


def of(connection: Connection, kind: str, address: str) -> frozenset[int]:
    """Return the keys of all mailings, requests or permits of a person."""
    return frozenset(connection.execute(keys_of(kind, address)).scalars())


def people_of(connection: Connection, kind: str, key: int, role: str) -> frozenset[str]:
    """Return the people of a matter in a role."""
    query = select(matter_people.c.address).where(matter_people.c.kind == kind, matter_people.c.matter_id == key)
    return frozenset(connection.execute(query.where(matter_people.c.role == role)).scalars())


def move(connection: Connection, other: int, target: int) -> None:
    """Give the people of a mailing to the one that it becomes a part of."""
    table = matter_people
    theirs = select(table.c.address, table.c.kind, literal(target), table.c.role)
    theirs = theirs.where(table.c.kind == MAILING, table.c.matter_id == other)
    moved = upsert(connection, table).from_select(["address", "kind", "matter_id", "role"], theirs)
    connection.execute(moved.on_conflict_do_nothing())
    forget(connection, other)


def forget(connection: Connection, key: int, kind: str = MAILING) -> None:
    """Forget the people of a mailing, request or permit."""
    connection.execute(delete(matter_people).where(matter_people.c.kind == kind, matter_people.c.matter_id == key))
