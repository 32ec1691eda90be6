"""Cases (D2), for which records are searched, preserved and exported: open, close, read."""

from __future__ import annotations

from dataclasses import field

from sqlalchemy import Connection, RowMapping, insert, literal, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import CaseState, advance
from gatekeeper.store.db.schema import case_items, cases, mailings
from gatekeeper.store.db.statements import upsert
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.rows import next_number


@immutable
class NewCase:
    """A case that somebody opens."""

    title: str
    kind: str  # request, litigation, audit, investigation
    outside: str = ""  # its number elsewhere, such as a court's
    due: str | None = None  # ISO day


@immutable
class CaseView:
    """A case as people see it."""

    key: int = field(repr=False)
    id: str
    state: CaseState
    kind: str
    title: str
    outside: str
    due: str | None
    opened_by: str
    opened_at: float
    closed_by: str | None
    closed_at: float | None


def open_case(connection: Connection, wanted: NewCase, act: Act) -> int:
    """Open a case; return its number."""
    number = next_number(connection, "case")
    row = {
        "number": number,
        "state": CaseState.OPEN.value,
        "kind": wanted.kind,
        "title": wanted.title,
        "outside": wanted.outside,
        "due": wanted.due,
        "opened_by": act.by,
        "opened_at": act.at,
    }
    key: int = connection.execute(insert(cases).values(**row).returning(cases.c.id)).scalar_one()
    note(connection, key, "case opened", act)
    return number


def close_case(connection: Connection, case: CaseView, act: Act) -> None:
    """Close a case; raise LifecycleError where it is closed."""
    state = advance(case.state, "close")
    closed = {"state": state.value, "closed_by": act.by, "closed_at": act.at}
    connection.execute(update(cases).where(cases.c.id == case.key).values(**closed))
    note(connection, case.key, "case closed", act)


def note(connection: Connection, key: int, name: str, act: Act) -> None:
    """Write an act about a case on its timeline."""
    details = act.details or None
    event = Event(act.at, name, by=act.by, login=act.login, text=act.reason or None, case_id=key, details=details)
    record(connection, event)


def list_cases(connection: Connection, state: str | None = None) -> list[CaseView]:
    """Return cases, newest first; of one state, where named."""
    query = select(cases).order_by(cases.c.number.desc()).limit(1000)
    if state is not None:
        query = query.where(cases.c.state == state)
    return [_view(row) for row in connection.execute(query).mappings()]


def find_case(connection: Connection, number: int, *, lock: bool = False) -> CaseView | None:
    """Return one case by its number. Args: `lock` keeps others from closing it meanwhile."""
    query = select(cases).where(cases.c.number == number)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return _view(row) if row else None


def _view(row: RowMapping) -> CaseView:
    return CaseView(
        key=row["id"],
        id=f"C-{row['number']}",
        state=CaseState(row["state"]),
        kind=row["kind"],
        title=row["title"],
        outside=row["outside"],
        due=row["due"],
        opened_by=row["opened_by"],
        opened_at=row["opened_at"],
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
    )


# -- what belongs to a case --------------------------------------------------------------------------------------


def add_item(connection: Connection, case: CaseView, mailing: int, act: Act) -> bool:
    """Let a mailing belong to a case; return False where it does already. Args: `mailing` is its key."""
    row = {"case_id": case.key, "mailing_id": mailing, "by": act.by, "at": act.at}
    made = upsert(connection, case_items).values(**row).on_conflict_do_nothing()
    return connection.execute(made).rowcount == 1


def items_of(connection: Connection, case: CaseView) -> list[str]:
    """Return the mailings that belong to a case, such as M-17."""
    query = select(mailings.c.number).join(case_items, case_items.c.mailing_id == mailings.c.id)
    query = query.where(case_items.c.case_id == case.key).order_by(mailings.c.number)
    return [f"M-{number}" for number in connection.execute(query).scalars()]


def move_items(connection: Connection, other: int, target: int) -> None:
    """Let a mailing belong to the cases of another that becomes a part of it."""
    theirs = select(case_items.c.case_id, literal(target), case_items.c.by, case_items.c.at)
    theirs = theirs.where(case_items.c.mailing_id == other)
    moved = upsert(connection, case_items).from_select(["case_id", "mailing_id", "by", "at"], theirs)
    connection.execute(moved.on_conflict_do_nothing())
