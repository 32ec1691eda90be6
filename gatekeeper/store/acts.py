"""The chain of acts: what people do, written with its values in the transaction of the act, after all else of it.

An act about a mailing, request, permit, suspension, case or hold has in its line what only people change of that: the
terms of a permit cannot be changed in its row without differing from the line. Long values are there as their digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import (
    CaseState,
    DisposalState,
    MailingState,
    PermitState,
    PreserveState,
    RequestState,
    SuspensionState,
)
from gatekeeper.store import audit_chain
from gatekeeper.store.db.schema import (
    cases,
    custodians,
    disposals,
    mailings,
    permit_scopes,
    permits,
    preserves,
    requests,
    suspensions,
)
from gatekeeper.store.db.statements import noted

Values = dict[str, Any]
_LONG = 2_000  # characters of JSON, from which on a value is there as its digest


@immutable
class Matter:
    """What acts are about: its table, columns that others than people change too, and states that only people end."""

    kind: str
    table: Table
    letter: str  # of its id
    passing: frozenset[str]
    final: frozenset[str]


MATTERS = {  # column of events -> matter
    "mailing_id": Matter(
        "mailing",
        mailings,
        "M",
        frozenset(column.name for column in mailings.c) - {"number"},
        frozenset({MailingState.RETURNED, MailingState.WITHDRAWN, MailingState.DENIED}),
    ),
    "request_id": Matter(
        "request",
        requests,
        "R",
        frozenset({"id", "state", "changed_at", "rules", "submitted_at"}),
        frozenset({RequestState.DENIED, RequestState.WITHDRAWN, RequestState.REVOKED}),
    ),
    "permit_id": Matter(
        "permit", permits, "P", frozenset({"id", "state", "used", "mailing_id"}), frozenset({PermitState.REVOKED})
    ),
    "suspension_id": Matter(
        "suspension", suspensions, "S", frozenset({"id", "state"}), frozenset({SuspensionState.ENDED})
    ),
    "case_id": Matter("case", cases, "C", frozenset({"id", "state"}), frozenset({CaseState.CLOSED})),
    "preserve_id": Matter("hold", preserves, "H", frozenset({"id", "state"}), frozenset({PreserveState.RELEASED})),
    "disposal_id": Matter("certificate", disposals, "D", frozenset({"id", "state"}), frozenset({DisposalState.DONE})),
}

COLUMNS = {matter.kind: column for column, matter in MATTERS.items()}  # kind -> the column of events that leads to it


def matter_of(kind: str) -> Matter:
    """Return the table and the letter of a kind."""
    return MATTERS[COLUMNS[kind]]


def name_of(kind: str, number: int) -> str:
    """Return the name of a mailing or other matter, such as M-17."""
    return f"{matter_of(kind).letter}-{number}"


def write(connection: Connection) -> None:
    """Write what the transaction has noted; raise SQLAlchemyError."""
    waiting = noted(connection)
    if not waiting:
        return
    lines = tuple(_line(connection, act) for act in waiting)
    times = [act["at"] for act in waiting]
    waiting.clear()
    audit_chain.add_acts(connection, audit_chain.RecordGroup(lines, min(times), max(times)))


def _line(connection: Connection, act: Mapping[str, Any]) -> bytes:
    values = {name: plain(value) for name, value in act.items()}
    return to_json({**values, **_matters_of(connection, act)}).encode()


def _matters_of(connection: Connection, act: Mapping[str, Any]) -> Values:
    """Return what only people change of the matters that the act is about, in the place of their keys."""
    found = {}
    for column, matter in MATTERS.items():
        if act.get(column) is not None:
            query = select(matter.table).where(matter.table.c.id == act[column])
            row = connection.execute(query).mappings().first()
            found[column] = row and {**values_of(connection, column, row), "state": row["state"]}
    return found


def values_of(connection: Connection, column: str, row: RowMapping) -> Values:
    """Return what only people change of a matter. Args: `column` is that of events which leads to it."""
    matter = MATTERS[column]
    found = {name: plain(value) for name, value in row.items() if name not in matter.passing}
    if matter.table is permits:
        scopes = select(permit_scopes.c.kind, permit_scopes.c.name).where(permit_scopes.c.permit_id == row["id"])
        found["scopes"] = plain(sorted(map(list, connection.execute(scopes))))
    if matter.table is preserves:
        theirs = select(custodians.c.address).where(custodians.c.preserve_id == row["id"])
        found["custodians"] = plain(sorted(connection.execute(theirs).scalars()))
    return found


def plain(value: Any) -> Any:
    """Return a value as a line has it."""
    text = to_json(value)
    return json.loads(text) if len(text) < _LONG else f"sha256:{sha256(text.encode()).hexdigest()}"


def to_json(value: Any) -> str:
    """Return the one JSON of a value."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, default=lambda octets: bytes(octets).hex())
