"""What a permit that is bound to a template compares beside links and files: all words, numbers, styles.

Permits from before cannot be compared with whole texts, and cover no message any more; they have to be given again.
Programs of earlier schemas find no fingerprint in a permit of this one, and hold the mail.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column."""
    op.add_column("permits", sa.Column("likeness", sa.JSON(), nullable=True))
