"""Disposals: what of kept content is to be destroyed by the schedule, or was; mailings say by which.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the columns of events and mailings."""
    _make_disposals()
    _make_items()
    op.add_column("mailings", sa.Column("destroyed", sa.Integer(), nullable=True))
    integer = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(f"ALTER TABLE events ADD COLUMN disposal_id {integer} REFERENCES disposals (id)")
    there = sa.text("disposal_id IS NOT NULL")
    op.create_index("events_by_disposal", "events", ["disposal_id"], sqlite_where=there, postgresql_where=there)


def _make_disposals() -> None:
    op.create_table(
        "disposals",
        sa.Column("id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("class", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("schedule", "cite", "keep")),
        sa.Column("cutoff", sa.Double(), nullable=False),
        sa.Column("backups", sa.Double(), nullable=True),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", sa.Double(), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=True),
        sa.Column("signed_at", sa.Double(), nullable=True),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", sa.Double(), nullable=True),
        sa.Column("done_at", sa.Double(), nullable=True),
        sa.Column("certificate", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("disposals_by_state", "disposals", ["state", "number"])


def _make_items() -> None:
    op.create_table(
        "disposal_items",
        sa.Column("disposal_id", _Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("mailing_id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(32), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["disposal_id"], ["disposals.id"]),
        sa.PrimaryKeyConstraint("disposal_id", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("disposal_items_by_mailing", "disposal_items", ["mailing_id"])
    op.create_index("disposal_items_by_state", "disposal_items", ["disposal_id", "state", "position"])
