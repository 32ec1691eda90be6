"""Times in which the gate was to observe only, and which processes run by which rules."""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import modes, processes
from gatekeeper.store.db.statements import upsert


@immutable
class ModeChange:
    """What somebody new about the mode: since when, until when (seconds since 1970), and why."""

    at: float
    mode: str  # observe or enforce
    until: float | None
    by: str
    login: str
    reason: str


def change(connection: Connection, new: ModeChange) -> None:
    """Put a mode in force; the audit keeps it."""
    connection.execute(insert(modes).values(**asdict(new)))
    line = json.dumps({"at": new.at, "act": f"mode {new.mode}", **asdict(new)}, separators=(",", ":"))
    audit_chain.note(connection, line.encode(), new.at)


def newest(connection: Connection) -> ModeChange | None:
    """What was new last; None where nobody has new anything."""
    row = connection.execute(select(modes).order_by(modes.c.id.desc()).limit(1)).first()
    return ModeChange(row.at, row.mode, row.until, row.by, row.login, row.reason) if row else None


def changes_since(connection: Connection, since: float) -> list[ModeChange]:
    """All that was new since then, oldest first."""
    rows = connection.execute(select(modes).where(modes.c.at >= since).order_by(modes.c.id))
    return [ModeChange(row.at, row.mode, row.until, row.by, row.login, row.reason) for row in rows]


@immutable
class Process:
    """A process of the gate, and by what it judges (digests)."""

    name: str
    started_at: float
    seen_at: float
    mode: str  # its setting
    rules: str
    directory: str


def report_process(connection: Connection, process: Process) -> None:
    """Write down that it runs, and by what."""
    row = asdict(process)
    made = upsert(connection, processes).values(**row)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=row))


def forget_process(connection: Connection, name: str) -> None:
    """It has ended."""
    connection.execute(delete(processes).where(processes.c.name == name))


def list_processes(connection: Connection, since: float) -> list[Process]:
    """Those that have been seen since then."""
    rows = connection.execute(select(processes).where(processes.c.seen_at >= since).order_by(processes.c.name))
    return [Process(row.name, row.started_at, row.seen_at, row.mode, row.rules, row.directory) for row in rows]


def forget_processes(connection: Connection, before: float) -> None:
    """Those that have not been seen since then died without a word."""
    connection.execute(delete(processes).where(processes.c.seen_at < before))
