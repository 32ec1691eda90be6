"""Mailings know how much of a list they reach, how many of their people are in no list, and who has not consented."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; a mailing from before has none of it."""
    op.add_column("mailings", sa.Column("tallies", sa.JSON(), nullable=True))
