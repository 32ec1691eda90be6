"""What was asked of the preflight address, until it is answered."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "preflights",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
    )
