"""How large each source of the directory was when it was good last, and how it is now.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "directory_sources",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("found_entries", sa.Integer(), nullable=False),
        sa.Column("found_granted", sa.Integer(), nullable=False),
    )
