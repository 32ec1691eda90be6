"""The time that running processes go by, for those that begin later."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "clocks",
        sa.Column("name", sa.String(length=40), primary_key=True),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("ahead", sa.Double(), nullable=False),
        sa.Column("told_at", sa.Double(), nullable=False),
    )
