"""What is counted over several mailings: those that share a text, and those of one origin or client."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables; mailings that began before are counted without them."""
    op.create_table(
        "shared_keys",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column(
            "mailing_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("mailings.id"),
            primary_key=True,
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("shared_keys_by_mailing", "shared_keys", ["mailing_id"])
    op.create_table(
        "sent_sums",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("people", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sent_sums_by_hour", "sent_sums", ["hour"])
    op.create_table(
        "sent_counts",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column("query", sa.String(40), primary_key=True),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("hour_sum", sa.Integer, nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
