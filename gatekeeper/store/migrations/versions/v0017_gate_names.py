"""Under which name the gate writes, and where its links lead, so that mails of commands are the gate's.

Programs of earlier schemas store rulesets without them; commands then go by their own settings.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("rulesets", sa.Column("hostname", sa.Text(), nullable=True))
    op.add_column("rulesets", sa.Column("public_url", sa.Text(), nullable=True))
