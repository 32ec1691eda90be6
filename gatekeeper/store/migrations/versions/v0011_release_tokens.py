"""Tokens of released mail, as keyed hashes: they outlive the addresses of a batch."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table; tokens that were given before are good until their batch is forgotten."""
    op.create_table(
        "release_tokens",
        sa.Column("recipient", sa.LargeBinary(16), primary_key=True),
        sa.Column("token", sa.LargeBinary(16), nullable=False),
        sa.Column("person", sa.LargeBinary(16), nullable=False),
        sa.Column("bound", sa.LargeBinary(16), nullable=False),
        sa.Column("mailing_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("issued_at", sa.Double(), nullable=False),
    )
    op.create_index("release_tokens_by_token", "release_tokens", ["token"])
