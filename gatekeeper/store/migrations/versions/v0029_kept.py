"""For whom a stored batch counts, and how large its message is, so that one origin cannot fill the disk.

Programs of earlier schemas work on this one; what they store, and what was stored before, counts for nobody alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the columns and their index."""
    op.add_column("batches", sa.Column("origin", sa.LargeBinary(16), nullable=True))
    op.add_column("batches", sa.Column("size", sa.Integer(), nullable=True))
    there = sa.text("origin IS NOT NULL")
    op.create_index("batches_by_origin", "batches", ["origin", "state"], sqlite_where=there, postgresql_where=there)
