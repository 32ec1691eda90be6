"""How many entries each source of the directory had at its last good load, and its present state: this outlives a
process.
"""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, delete, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import directory_sources
from gatekeeper.store.db.statements import upsert


@immutable
class SourceState:
    """The state of a source. `granted` counts entries that permit something; `found_*` are those of a source in
    question.
    """

    name: str
    state: str  # fresh, copy, expired or shrunk
    entries: int  # when it was good last; -1 where it never was
    granted: int
    found_entries: int
    found_granted: int


def all_sources(connection: Connection) -> list[SourceState]:
    """Return every source, by name."""
    rows = connection.execute(select(directory_sources).order_by(directory_sources.c.name))
    return [SourceState(**row) for row in rows.mappings()]


def put(connection: Connection, source: SourceState) -> None:
    """Write the state of a source. Where it is not good now, the numbers of its last good load stay."""
    row = asdict(source)
    changed = row if source.state == "fresh" else {k: v for k, v in row.items() if k not in ("entries", "granted")}
    made = upsert(connection, directory_sources).values(**row)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=changed))


def forget_others(connection: Connection, names: frozenset[str]) -> None:
    """Remove sources that the rules no longer name."""
    connection.execute(delete(directory_sources).where(directory_sources.c.name.not_in(names)))


def accept(connection: Connection, name: str, login: str, at: float) -> SourceState | None:
    """Accept a source in question as it is, and write to the audit who did; return its state before, None where none is
    in question.

    Its state stays until the processes of the gate have read it again.
    """
    table = directory_sources
    row = connection.execute(select(table).where(table.c.name == name, table.c.state == "shrunk")).mappings().first()
    if row is None:
        return None
    source = SourceState(**row)
    as_found = {"entries": source.found_entries, "granted": source.found_granted}
    connection.execute(update(table).where(table.c.name == name).values(**as_found))
    audit_chain.note(connection, {"at": at, "act": "directory accept", "login": login, **asdict(source)})
    return source
