"""Sessions of the web console, and one-time links by which people sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "console_sessions",
        sa.Column("token", sa.LargeBinary(32), primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("console_sessions_by_address", "console_sessions", ["address"])
    op.create_table(
        "signin_links",
        sa.Column("token", sa.LargeBinary(32), primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("browser", sa.LargeBinary(32)),
        sa.Column("code", sa.LargeBinary(32)),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("signin_links_by_address", "signin_links", ["address"])
