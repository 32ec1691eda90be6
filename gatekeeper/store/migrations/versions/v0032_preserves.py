"""Legal holds with their custodians, and mailings that belong to cases; events may be about a hold.

Programs of earlier schemas work on this one, but know no hold: they remove what a hold keeps. Let no such program run
once a hold is placed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the column of events."""
    _make_items()
    _make_preserves()
    _make_custodians()
    integer = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(f"ALTER TABLE events ADD COLUMN preserve_id {integer} REFERENCES preserves (id)")
    there = sa.text("preserve_id IS NOT NULL")
    op.create_index("events_by_preserve", "events", ["preserve_id"], sqlite_where=there, postgresql_where=there)


def _make_items() -> None:
    op.create_table(
        "case_items",
        sa.Column("case_id", _Id, nullable=False),
        sa.Column("mailing_id", _Id, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"]),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailings.id"]),
        sa.PrimaryKeyConstraint("case_id", "mailing_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("case_items_by_mailing", "case_items", ["mailing_id"])


def _make_preserves() -> None:
    op.create_table(
        "preserves",
        sa.Column("id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("case_id", _Id, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("agencies", "audiences", "subjects", "mailings")),
        sa.Column("since", sa.Double(), nullable=True),
        sa.Column("until", sa.Double(), nullable=True),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.Double(), nullable=False),
        sa.Column("agreed_by", sa.Text(), nullable=True),
        sa.Column("agreed_at", sa.Double(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("preserves_by_case", "preserves", ["case_id"])
    op.create_index("preserves_by_state", "preserves", ["state", "number"])


def _make_custodians() -> None:
    op.create_table(
        "custodians",
        sa.Column("preserve_id", _Id, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("person", sa.LargeBinary(16), nullable=False),
        sa.Column("source", sa.LargeBinary(16), nullable=False),
        sa.Column("recorded", sa.LargeBinary(16), nullable=False),
        sa.Column("told_at", sa.Double(), nullable=True),
        sa.Column("reminded_at", sa.Double(), nullable=True),
        sa.Column("acknowledged_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["preserve_id"], ["preserves.id"]),
        sa.PrimaryKeyConstraint("preserve_id", "address"),
        sqlite_with_rowid=False,
    )
