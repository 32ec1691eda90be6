"""Uses of tokens by mail that came back: each is good once for each recipient."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "returned_mail",
        sa.Column("use", sa.LargeBinary(16), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_index("returned_mail_by_time", "returned_mail", ["at"])
