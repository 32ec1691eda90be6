"""Subject and text of mailings, by which those of several senders are counted together."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table; mailings that began before are counted without it."""
    op.create_table(
        "mailing_texts",
        sa.Column("key", sa.LargeBinary(16), primary_key=True),
        sa.Column(
            "mailing_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("mailings.id"),
            primary_key=True,
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("mailing_texts_by_mailing", "mailing_texts", ["mailing_id"])
