"""Whose a mailing, request or permit is, and who was asked about it; and the orders in which mailings are listed.

Of mailings of which no batch is kept, whose they are is not known any more: they are their sender's.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ASKING = ("told", "reminded", "passed on", "asked")
_DECIDING = ("agreed", "approved", "approved in part", "denied", "returned", "changes asked")
_SENDERS = """
SELECT id, sender FROM mailings WHERE number IS NOT NULL AND sender IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.mailing_id = mailings.id)
"""
_OWNERS = """
SELECT mailings.id, mailings.sender, batches.owners FROM batches JOIN mailings ON mailings.id = batches.mailing_id
    WHERE mailings.sender IS NOT NULL
"""
_EVENTS = """
SELECT mailing_id, request_id, permit_id, act, "by", text FROM events
    WHERE act IN ('told', 'reminded', 'passed on', 'asked', 'agreed', 'approved', 'approved in part', 'denied',
        'returned', 'changes asked')
"""


def upgrade() -> None:
    """Add the table with what batches and events say, and the indexes."""
    table = op.create_table(
        "matter_people",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("matter_id", _Id, primary_key=True, autoincrement=False),
        sa.Column("role", sa.String(8), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("matter_people_by_key", "matter_people", ["kind", "matter_id"])
    numbered = sa.text("number IS NOT NULL")
    for column in ("state", "sender", "agency"):
        name = f"mailings_listed_by_{column}"
        op.create_index(name, "mailings", [column, "number"], sqlite_where=numbered, postgresql_where=numbered)
    connection = op.get_bind()
    found = {("mailing", key, "own", sender) for key, sender in connection.execute(sa.text(_SENDERS))}
    for key, sender, owners in connection.execute(sa.text(_OWNERS)):
        known = json.loads(owners) if isinstance(owners, str) else owners
        found |= {("mailing", key, "own", each) for each in ([sender] if known is None else known)}
    for *keys, act, by, text in connection.execute(sa.text(_EVENTS)):
        people = (text or "").split(", ") if act in _ASKING else [by]
        for kind, key in zip(("mailing", "request", "permit"), keys, strict=True):
            found |= {(kind, key, "asked", each) for each in people if key is not None and each}
    rows = [{"kind": kind, "matter_id": key, "role": role, "address": each} for kind, key, role, each in sorted(found)]
    for start in range(0, len(rows), 1_000):
        op.bulk_insert(table, rows[start : start + 1_000])
