"""Why the rules on the disk of a process cannot be used."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add the column."""
    op.add_column("processes", sa.Column("problem", sa.Text(), nullable=False, server_default=""))
