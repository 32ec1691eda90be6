"""By which rules a part of a mailing was refused, so that its other parts are refused as well.

Programs of earlier schemas work on this one, but judge each part by itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column."""
    op.add_column("mailings", sa.Column("refused", sa.JSON(), nullable=True))
