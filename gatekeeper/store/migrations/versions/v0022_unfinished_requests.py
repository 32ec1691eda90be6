"""Requests that somebody has begun to write on the console.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "unfinished_requests",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("content", sa.LargeBinary),
        sa.Column("changed_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
