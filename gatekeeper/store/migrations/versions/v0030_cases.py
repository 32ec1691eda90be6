"""Cases, for which records are searched, preserved and exported; events may be about one.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and the column of events."""
    op.create_table(
        "cases",
        sa.Column("id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("outside", sa.Text(), nullable=False),
        sa.Column("due", sa.String(10), nullable=True),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("cases_by_state", "cases", ["state", "number"])
    # Not by add_column, which for SQLite would make the whole table anew to add what refers to another.
    integer = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(f"ALTER TABLE events ADD COLUMN case_id {integer} REFERENCES cases (id)")
    there = sa.text("case_id IS NOT NULL")
    op.create_index("events_by_case", "events", ["case_id"], sqlite_where=there, postgresql_where=there)
