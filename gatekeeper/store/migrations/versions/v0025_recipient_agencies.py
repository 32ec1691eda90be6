"""Of which agency each recipient of a stored batch is, so that a mailing's recipients can be looked through by agency.

Programs of earlier schemas work on this one; of what they store, and of what was stored before, no agency is known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column."""
    op.add_column("batch_recipients", sa.Column("agency", sa.String(64), nullable=True))
