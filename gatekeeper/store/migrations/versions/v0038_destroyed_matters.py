"""Disposals of the ledger, of acts and of certificates: what of a list an item is, and by which a line was emptied."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
_TABLES = ("mailings", "requests", "permits", "suspensions", "cases", "preserves", "disposals")


def upgrade() -> None:
    """Add the columns."""
    for table in _TABLES:
        op.add_column(table, sa.Column("disposed", sa.Integer()))
    kind = sa.Column("kind", sa.String(12), nullable=False, server_default="content")
    op.add_column("disposal_items", kind)
