"""An index of the mailings that have names, among which those are that may lose them; ordinary mail has none.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Make the index."""
    named = sa.text("sender IS NOT NULL")
    op.create_index("mailings_by_name", "mailings", ["state", "mass"], sqlite_where=named, postgresql_where=named)
