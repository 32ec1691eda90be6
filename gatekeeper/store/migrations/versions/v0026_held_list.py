"""An index of the mailings that were ever held, in the order in which they are listed.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the index."""
    held = sa.text("held_at IS NOT NULL")
    op.create_index("mailings_listed_held", "mailings", ["number"], sqlite_where=held, postgresql_where=held)
