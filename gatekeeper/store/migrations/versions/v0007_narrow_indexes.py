"""Indexes of what few mailings have leave out the others, which are nearly all that are written.

Programs of earlier schemas work on this one. (Some from before the first release hashed weak keys otherwise; they must
not share a database with later ones.)
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the two indexes anew."""
    _narrow("mailings_by_gather", "gather_until")
    _narrow("mailings_by_look", "look_again")


def _narrow(index: str, column: str) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    op.drop_index(index, "mailings")
    op.create_index(index, "mailings", [column], sqlite_where=there, postgresql_where=there)
