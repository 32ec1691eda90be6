"""Accounts of people who sign in to the console, links by mail, names pinned to addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the tables and columns."""
    for name in ("issuer", "subject", "sid", "id_token"):
        op.add_column("console_sessions", sa.Column(name, sa.Text, nullable=True))
    _links()
    _steps()
    _accounts()


def _links() -> None:
    op.add_column("signin_links", sa.Column("kind", sa.String(8), nullable=False, server_default="start"))
    op.add_column("signin_links", sa.Column("place", sa.Text, nullable=False, server_default=""))


def _steps() -> None:
    op.create_table(
        "signin_steps",
        sa.Column("token", sa.LargeBinary(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signin_pins",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("pinned_at", sa.Double, nullable=False),
        sa.Column("claim", sa.Text, nullable=True),
        sa.Column("claimed_at", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("signin_pins_by_subject", "signin_pins", ["issuer", "subject"], unique=True)


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("handle", sa.LargeBinary(32), nullable=False),
        sa.Column("password", sa.Text, nullable=True),
        sa.Column("totp", sa.String(64), nullable=True),
        sa.Column("totp_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("accounts_by_handle", "accounts", ["handle"], unique=True)
    op.create_table(
        "passkeys",
        sa.Column("credential", sa.LargeBinary(1023), primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("public_key", sa.LargeBinary(2048), nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("passkeys_by_address", "passkeys", ["address"])
    op.create_table(
        "recovery_codes",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("code", sa.LargeBinary(32), primary_key=True),
        sqlite_with_rowid=False,
    )
