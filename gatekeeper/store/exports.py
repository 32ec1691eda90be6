"""Exports of a case: what was handed over, under which digests; and the control numbers of its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import cases as stored_cases
from gatekeeper.store.db.schema import cases, control_numbers, events, exports
from gatekeeper.store.events import Act
from gatekeeper.store.rows import next_number

_WHOLE = "exported"  # the act


@immutable
class ExportView:
    """An export as people see it."""

    key: int
    id: str
    case_key: int
    case: str
    asked: Mapping[str, Any]
    begun_at: float
    by: str
    done_at: float | None = None
    payload: str | None = None  # SHA-256 of manifest-sha256.txt
    tags: str | None = None  # SHA-256 of tagmanifest-sha256.txt, which is what is signed and timestamped
    files: int | None = None
    octets: int | None = None


def begin(connection: Connection, case: int, asked: Mapping[str, Any], act: Act) -> ExportView:
    """Begin an export for a case, which its timeline notes; return it."""
    number = next_number(connection, "export")
    row = {"number": number, "case_id": case, "asked": dict(asked), "begun_at": act.at, "by": act.by}
    connection.execute(insert(exports).values(**row))
    _note(connection, case, "export begun", act, number, {"asked": dict(asked)})
    found = find(connection, number)
    assert found is not None
    return found


def finish(connection: Connection, export: ExportView, made: Mapping[str, Any], act: Act) -> None:
    """Note that an export is whole. Args: `made` has the digests, files and octets."""
    kept = {name: made[name] for name in ("payload", "tags", "files", "octets")}
    connection.execute(update(exports).where(exports.c.id == export.key).values(done_at=act.at, **kept))
    _note(connection, export.case_key, _WHOLE, act, int(export.id.removeprefix("E-")), made)


def said_of(connection: Connection, export: ExportView) -> Mapping[str, Any]:
    """Return what was noted of an export when it was whole: its digests, and of the key where it is signed."""
    query = select(events.c.details).where(events.c.case_id == export.case_key, events.c.act == _WHOLE)
    every = connection.execute(query.order_by(events.c.id.desc())).scalars()
    return next((each for each in every if each and each.get("export") == export.id), {})


def note(connection: Connection, export: ExportView, name: str, act: Act, details: Mapping[str, Any]) -> None:
    """Note what became of an export on the timeline of its case."""
    _note(connection, export.case_key, name, act, int(export.id.removeprefix("E-")), details)


def _note(connection: Connection, case: int, name: str, act: Act, number: int, details: Mapping[str, Any]) -> None:
    text = f"E-{number}" + (f": {act.reason}" if act.reason else "")
    noted = Act(act.at, act.by, act.login, text, {"export": f"E-{number}", **details})
    stored_cases.note(connection, case, name, noted)


def find(connection: Connection, number: int) -> ExportView | None:
    """Return an export by its number; None where there is none."""
    query = select(exports, cases.c.number.label("case")).join(cases, cases.c.id == exports.c.case_id)
    row = connection.execute(query.where(exports.c.number == number)).mappings().first()
    return _view(row) if row else None


def _view(row: RowMapping) -> ExportView:
    return ExportView(
        key=row["id"],
        id=f"E-{row['number']}",
        case_key=row["case_id"],
        case=f"C-{row['case']}",
        asked=row["asked"],
        begun_at=row["begun_at"],
        by=row["by"],
        done_at=row["done_at"],
        payload=row["payload"],
        tags=row["tags"],
        files=row["files"],
        octets=row["octets"],
    )


def numbered(connection: Connection, case: int, things: Iterable[str]) -> dict[str, int]:
    """Return the control numbers of things in a case; those that have none get the next, in this order."""
    connection.execute(select(cases.c.id).where(cases.c.id == case).with_for_update())  # one numbers at a time
    known = {row.thing: row.number for row in connection.execute(_numbers(case))}
    last = connection.execute(select(func.max(control_numbers.c.number)).where(control_numbers.c.case_id == case))
    number, wanted = int(last.scalar() or 0), list(things)
    rows = []
    for thing in wanted:
        if thing not in known:
            number += 1
            known[thing] = number
            rows.append({"case_id": case, "thing": thing, "number": number})
    if rows:
        connection.execute(insert(control_numbers), rows)
    return {thing: known[thing] for thing in wanted}


def _numbers(case: int) -> Any:
    return select(control_numbers.c.thing, control_numbers.c.number).where(control_numbers.c.case_id == case)
