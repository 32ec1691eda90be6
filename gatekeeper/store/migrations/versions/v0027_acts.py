"""What people have done so far is written to the chain of acts, and where the other chains stand.

Programs of earlier schemas work on this one, but do not write people's acts there: `audit verify` names these as added.
"""

import json
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
_GROUP = 1_000  # lines of a block
_ROWS = {
    "events": """SELECT id, at, act, mailing_id, "by", login, text, request_id, permit_id, suspension_id, details
        FROM events WHERE "by" <> '' OR login <> '' ORDER BY id""",
    "rulesets": "SELECT id, loaded_at AS at, loaded_at, digest, name, hostname, public_url FROM rulesets ORDER BY id",
    "modes": 'SELECT id, at, mode, until, "by", login, reason FROM modes ORDER BY id',
}
_TABLES = {"mailing_id": "mailings", "request_id": "requests", "permit_id": "permits", "suspension_id": "suspensions"}
_BLOCK = sa.table(
    "audit_blocks",
    *map(sa.column, ("chain_id", "first", "records", "first_at", "last_at", "head", "payload")),
)


def upgrade() -> None:
    """Write the lines."""
    connection = op.get_bind()
    acts = [act for table in _ROWS for act in _acts_of(connection, table)]
    others = connection.execute(sa.text("SELECT id, aged_out, checkpoint FROM audit_chains ORDER BY id")).all()
    if acts or len(others) > 1 or any(row.aged_out for row in others):
        now = max([0.0, *(act["at"] for act in acts)])
        chains = {str(row.id): [row.aged_out, bytes(row.checkpoint).hex()] for row in others}
        said = {"at": now, "act": "aged out", "records": 0, "ended": [], "rows": {}, "chains": chains}
        _append(connection, [said, *acts])


def _acts_of(connection: sa.Connection, table: str) -> Iterator[dict[str, Any]]:
    numbers = {column: _numbers(connection, name) for column, name in _TABLES.items()} if table == "events" else {}
    for row in connection.execute(sa.text(_ROWS[table])).mappings():
        act = dict(row)
        key = act.pop("id")
        for column, known in numbers.items():
            number = known.get(act[column])
            act[column] = None if number is None else {"number": number}
        if isinstance(act.get("details"), str):
            act["details"] = json.loads(act["details"])
        name = {"rulesets": "rules in force", "modes": f"mode {act.get('mode')}"}.get(table, act.get("act"))
        yield {**act, "act": name, "row": [table, key]}


def _numbers(connection: sa.Connection, table: str) -> dict[int, int]:
    rows = connection.execute(sa.text(f"SELECT id, number FROM {table} WHERE number IS NOT NULL"))
    return {row.id: row.number for row in rows}


def _append(connection: sa.Connection, acts: list[dict[str, Any]]) -> None:
    query = "SELECT id, records, head FROM audit_chains WHERE name = 'acts' ORDER BY id LIMIT 1"
    chain = connection.execute(sa.text(query)).one()
    head, records = bytes(chain.head), chain.records
    for start in range(0, len(acts), _GROUP):
        group = acts[start : start + _GROUP]
        lines = [json.dumps(act, separators=(",", ":"), sort_keys=True).encode() for act in group]
        for line in lines:
            head = sha256(head + line).digest()
        times = [act["at"] for act in group]
        values = {"chain_id": chain.id, "first": records + 1, "records": len(lines), "head": head}
        values |= {"first_at": min(times), "last_at": max(times), "payload": zlib.compress(b"\n".join(lines), 9)}
        connection.execute(_BLOCK.insert().values(**values))
        records += len(lines)
    grown = sa.text("UPDATE audit_chains SET records = :records, head = :head WHERE id = :id")
    grown = grown.bindparams(sa.bindparam("head", type_=sa.LargeBinary))
    connection.execute(grown, {"records": records, "head": head, "id": chain.id})
