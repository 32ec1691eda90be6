"""How large each source of the directory was when it was good last, and how it is now: what outlives a process."""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import Connection, delete, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import directory_sources
from gatekeeper.store.db.statements import upsert


@immutable
class SourceState:
    """A source; `granted` are the entries that permit something, `found` ones are those of a source in question."""

    name: str
    state: str  # fresh, copy, expired or shrunk
    entries: int  # when it was good last; -1 where it never was
    granted: int
    found_entries: int
    found_granted: int


def all_sources(connection: Connection) -> list[SourceState]:
    """Every source, by name."""
    rows = connection.execute(select(directory_sources).order_by(directory_sources.c.name))
    return [SourceState(**row) for row in rows.mappings()]


def put(connection: Connection, source: SourceState) -> None:
    """Write down how a source is. How large it was when it was good last stays, where it is not good now."""
    row = asdict(source)
    changed = row if source.state == "fresh" else {k: v for k, v in row.items() if k not in ("entries", "granted")}
    made = upsert(connection, directory_sources).values(**row)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=changed))


def forget_others(connection: Connection, names: frozenset[str]) -> None:
    """Remove the sources that the rules do not name any more."""
    connection.execute(delete(directory_sources).where(directory_sources.c.name.not_in(names)))


def accept(connection: Connection, name: str, login: str, at: float) -> SourceState | None:
    """Take a source in question as it is; the audit keeps who did. Returns how it was; None where none is that.

    Its state stays until the processes of the gate have read it again.
    """
    table = directory_sources
    row = connection.execute(select(table).where(table.c.name == name, table.c.state == "shrunk")).mappings().first()
    if row is None:
        return None
    source = SourceState(**row)
    as_found = {"entries": source.found_entries, "granted": source.found_granted}
    connection.execute(update(table).where(table.c.name == name).values(**as_found))
    line = {"at": at, "act": "directory accept", "login": login, **asdict(source)}
    audit_chain.note(connection, json.dumps(line, separators=(",", ":")).encode(), at)
    return source
