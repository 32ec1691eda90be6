"""Suspensions from mass mail (C10): begin, end, read. Each ends by itself when its time is over."""

from __future__ import annotations

from dataclasses import field

from sqlalchemy import Connection, RowMapping, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import SuspensionState, advance
from gatekeeper.store.db.schema import suspensions
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.rows import next_number


@immutable
class SuspensionView:
    """A suspension as people see it."""

    key: int = field(repr=False)
    id: str
    state: SuspensionState
    kind: str  # sender, group, agency
    name: str
    reason: str
    until: float
    given_by: str
    given_at: float


def suspend(connection: Connection, kind: str, name: str, until: float, act: Act) -> int:
    """Begin a suspension; return its number."""
    number = next_number(connection, "suspension")
    row = {
        "number": number,
        "state": SuspensionState.IN_FORCE.value,
        "kind": kind,
        "name": name,
        "reason": act.reason,
        "until": until,
        "given_by": act.by,
        "given_at": act.at,
    }
    key: int = connection.execute(insert(suspensions).values(**row).returning(suspensions.c.id)).scalar_one()
    _note(connection, key, "suspended", act)
    return number


def end(connection: Connection, suspension: SuspensionView, act: Act) -> None:
    """End a suspension early; raise LifecycleError where it has ended."""
    state = advance(suspension.state, "end")
    connection.execute(update(suspensions).where(suspensions.c.id == suspension.key).values(state=state.value))
    _note(connection, suspension.key, "ended", act)


def _note(connection: Connection, key: int, name: str, act: Act) -> None:
    record(connection, Event(act.at, name, by=act.by, login=act.login, text=act.reason or None, suspension_id=key))


def list_suspensions(connection: Connection, now: float, state: str | None = None) -> list[SuspensionView]:
    """Return suspensions, newest first; of one state at that time, where named."""
    rows = connection.execute(select(suspensions).order_by(suspensions.c.number.desc()).limit(1000)).mappings()
    return [view for view in (_view(row, now) for row in rows) if state is None or view.state == state]


def find_suspension(connection: Connection, number: int, now: float) -> SuspensionView | None:
    """Return one suspension by its number."""
    query = select(suspensions).where(suspensions.c.number == number).with_for_update()
    row = connection.execute(query).mappings().first()
    return _view(row, now) if row else None


def _view(row: RowMapping, now: float) -> SuspensionView:
    over = row["until"] <= now
    return SuspensionView(
        key=row["id"],
        id=f"S-{row['number']}",
        state=SuspensionState.ENDED if over else SuspensionState(row["state"]),
        kind=row["kind"],
        name=row["name"],
        reason=row["reason"],
        until=row["until"],
        given_by=row["given_by"],
        given_at=row["given_at"],
    )
