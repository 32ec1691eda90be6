"""When somebody last showed who they are, which a session of an issuer or a proxy began without."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the column."""
    op.add_column("console_sessions", sa.Column("shown_at", sa.Double, nullable=True))
