"""The audit of decisions, times of observing, and who runs by which rules."""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the one chain that everybody writes to."""
    chains = op.create_table(
        "audit_chains",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("aged_out", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    root = hashlib.sha256(b"acts\n0.0").digest()
    acts = {"name": "acts", "began_at": 0.0, "records": 0, "head": root, "aged_out": 0, "checkpoint": root}
    op.bulk_insert(chains, [acts])
    op.create_table(
        "audit_blocks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("chain_id", _ID, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["chain_id"], ["audit_chains.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_blocks_by_chain", "audit_blocks", ["chain_id", "first"], unique=True)
    op.create_index("audit_blocks_by_time", "audit_blocks", ["last_at"])
    op.create_table(
        "audit_frames",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "modes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("until", sa.Double(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("rules", sa.String(length=64), nullable=False),
        sa.Column("directory", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
