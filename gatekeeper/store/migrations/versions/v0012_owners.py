"""Whose mail a batch is: a From that nobody vouches for makes nobody an owner.

Batches from before, and those that a program of an earlier schema keeps on this one, are their mailing's sender's.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column."""
    op.add_column("batches", sa.Column("owners", sa.JSON(), nullable=True))
