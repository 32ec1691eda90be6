"""Exports of a case, and the control numbers of what they hand over. Programs of earlier schemas know of neither."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "exports",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False, unique=True),
        sa.Column("case_id", _ID, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("done_at", sa.Double()),
        sa.Column("payload", sa.String(64)),
        sa.Column("tags", sa.String(64)),
        sa.Column("files", sa.Integer()),
        sa.Column("octets", sa.BigInteger()),
    )
    op.create_index("exports_by_case", "exports", ["case_id"])
    op.create_table(
        "control_numbers",
        sa.Column("case_id", _ID, sa.ForeignKey("cases.id"), primary_key=True),
        sa.Column("thing", sa.String(80), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
