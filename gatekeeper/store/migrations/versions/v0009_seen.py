"""What people have seen of a case before they decide: places of batches, details of events, states by their version.

Batches from before, and those that a program of an earlier schema keeps on this one, have no place: they are known by
their ids. A yes from before says nothing of what was seen, and counts no longer. Programs of earlier schemas work on
this one, but do not compare what was seen.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, an index and the table."""
    op.add_column("mailings", sa.Column("kept", sa.Integer(), nullable=True))
    op.add_column("batches", sa.Column("place", sa.Integer(), nullable=True))
    op.add_column("events", sa.Column("details", sa.JSON(), nullable=True))
    op.create_index("batches_by_content", "batches", ["mailing_id", "content_digest"])
    op.create_table(
        "seen_states",
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_index("seen_states_by_time", "seen_states", ["at"])
