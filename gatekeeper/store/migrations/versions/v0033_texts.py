"""What is searched of the ledger and of kept messages: `texts`, their words in an index of the database, `searches`.

Programs of earlier schemas do not write them: what they store is read by the next search of a newer one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the table and the index of words."""
    op.create_table(
        "texts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("matter_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.Column("digest", sa.LargeBinary(32)),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("unsearched", sa.JSON()),
        sa.Column("made_at", sa.Double(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("texts_by_matter", "texts", ["kind", "matter_id"])
    there = sa.text("digest IS NOT NULL")
    op.create_index("texts_by_digest", "texts", ["digest"], sqlite_where=there, postgresql_where=there)
    there = sa.text("unsearched IS NOT NULL")
    op.create_index("texts_unsearched", "texts", ["kind"], sqlite_where=there, postgresql_where=there)
    op.create_table(
        "searches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False, unique=True),
        sa.Column(
            "case_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("cases.id"),
            nullable=False,
        ),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
    )
    op.create_index("searches_by_case", "searches", ["case_id"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE text_words USING fts5(words, tokenize = 'ascii')")
        return
    op.execute(
        "CREATE TABLE text_words "
        "(text_id BIGINT NOT NULL, part INTEGER NOT NULL, words tsvector NOT NULL, PRIMARY KEY (text_id, part))"
    )
    op.execute("CREATE INDEX text_words_by_word ON text_words USING gin (words)")
