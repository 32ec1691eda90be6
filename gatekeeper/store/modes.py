"""Changes of the mode that people made, and which processes run by which rules."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import modes, processes
from gatekeeper.store.db.statements import upsert

SEEN_SECONDS = 60.0  # after which a process that has said nothing is taken for dead


@immutable
class ModeChange:
    """A change of the mode: when, to which mode, until when (seconds since 1970), by whom, and why."""

    at: float
    mode: str  # observe or enforce
    until: float | None
    by: str
    login: str
    reason: str


def change(connection: Connection, new: ModeChange) -> None:
    """Put a mode in force, and write the change to the audit."""
    written = connection.execute(insert(modes).values(**asdict(new))).inserted_primary_key
    assert written is not None
    audit_chain.note(connection, {"act": f"mode {new.mode}", "row": [modes.name, written[0]], **asdict(new)})


def newest(connection: Connection) -> ModeChange | None:
    """Return the last change of the mode; None without any."""
    row = connection.execute(select(modes).order_by(modes.c.id.desc()).limit(1)).first()
    return ModeChange(row.at, row.mode, row.until, row.by, row.login, row.reason) if row else None


def changes_since(connection: Connection, since: float) -> list[ModeChange]:
    """Return the changes of the mode since then, oldest first."""
    rows = connection.execute(select(modes).where(modes.c.at >= since).order_by(modes.c.id))
    return [ModeChange(row.at, row.mode, row.until, row.by, row.login, row.reason) for row in rows]


@immutable
class Process:
    """A process of the gate, and the digests of what it judges by."""

    name: str
    started_at: float
    seen_at: float
    mode: str  # its setting
    rules: str
    directory: str
    problem: str = ""  # why the rules on its disk cannot be used


def report_process(connection: Connection, process: Process) -> None:
    """Write that the process runs, and by which rules."""
    row = asdict(process)
    made = upsert(connection, processes).values(**row)
    connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=row))


def forget_process(connection: Connection, name: str) -> None:
    """Remove a process that has ended."""
    connection.execute(delete(processes).where(processes.c.name == name))


def list_processes(connection: Connection, since: float) -> list[Process]:
    """Return the processes that have reported since then."""
    rows = connection.execute(select(processes).where(processes.c.seen_at >= since).order_by(processes.c.name))
    return [Process(**row) for row in rows.mappings()]


def forget_processes(connection: Connection, before: float) -> None:
    """Remove processes that have not reported since then: they died without removing themselves."""
    connection.execute(delete(processes).where(processes.c.seen_at < before))
