"""GatherRunner that are due are leased by one node."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the lease."""
    op.add_column("mailings", sa.Column("gather_leased", sa.Double(), nullable=True))
