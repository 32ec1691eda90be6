"""The approval ledger: requests, permits with scope and uses, suspensions, one timeline of all of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
WORKS_WITH = "0003"  # an older program would let pass what has been revoked here
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and give permits of held mailings the one use that they have."""
    _make_requests()
    _extend_permits()
    _make_suspensions()
    _extend_mailings()
    _widen_events()


def _make_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_key", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("audiences", sa.JSON(), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("planned", sa.String(length=10), nullable=True),
        sa.Column("needed_by", sa.String(length=10), nullable=True),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(length=32), nullable=True),
        sa.Column("exception", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("earliest", sa.String(length=10), nullable=True),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("appealed", sa.Boolean(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("submitted_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["body"], ["bodies.digest"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("requests_by_state", "requests", ["state", "number"])


def _extend_permits() -> None:
    with op.batch_alter_table("permits") as table:
        table.alter_column("ceiling", existing_type=sa.Integer(), nullable=True)
        table.add_column(sa.Column("request_id", _Id, nullable=True))
        table.create_foreign_key("permits_request_id_fkey", "requests", ["request_id"], ["id"])
        for name in ("fingerprints", "links", "attachments", "lists"):
            table.add_column(sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
        for name in ("subject", "subject_key", "purpose", "reason"):
            table.add_column(sa.Column(name, sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("since", sa.Double(), nullable=False, server_default="0"))
        table.add_column(sa.Column("uses", sa.Integer(), nullable=True))
        table.add_column(sa.Column("used", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("review", sa.String(length=8), nullable=True))
    op.create_index("permits_by_request", "permits", ["request_id"])
    op.create_index("permits_by_subject", "permits", ["subject_key", "until"])
    op.create_index("permits_by_state", "permits", ["state", "until"])
    op.create_table(
        "permit_scopes",
        sa.Column("permit_id", _Id, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["permit_id"], ["permits.id"]),
        sa.PrimaryKeyConstraint("permit_id", "kind", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("permit_scopes_by_name", "permit_scopes", ["kind", "name"])
    op.create_table(
        "permit_uses",
        sa.Column("permit_id", _Id, nullable=False),
        sa.Column("mailing_id", _Id, nullable=False),
        sa.Column("claimed_at", sa.Double(), nullable=False),
        sa.Column("relayed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["permit_id"], ["permits.id"]),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailings.id"]),
        sa.PrimaryKeyConstraint("permit_id", "mailing_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("permit_uses_by_mailing", "permit_uses", ["mailing_id"])
    op.create_table(
        "flights",
        sa.Column("id", _Id, nullable=False),
        sa.Column("permits", sa.JSON(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO permit_uses (permit_id, mailing_id, claimed_at, relayed)"
        " SELECT id, mailing_id, given_at, 0 FROM permits WHERE mailing_id IS NOT NULL"
    )
    op.execute("UPDATE permits SET state = 'used', uses = 1, used = 1 WHERE mailing_id IS NOT NULL")


def _make_suspensions() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", _Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("given_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("suspensions_by_name", "suspensions", ["kind", "name"])


def _extend_mailings() -> None:
    op.add_column("mailings", sa.Column("mass", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("mailings", sa.Column("agency", sa.String(length=64), nullable=True))
    op.add_column("mailings", sa.Column("look_again", sa.Double(), nullable=True))
    op.create_index("mailings_by_look", "mailings", ["look_again"])
    mass = sa.text("mass")
    op.create_index("mailings_by_mass", "mailings", ["started_at"], sqlite_where=mass, postgresql_where=mass)
    op.add_column("batches", sa.Column("permits", sa.JSON(), nullable=False, server_default="[]"))


def _widen_events() -> None:
    with op.batch_alter_table("events") as table:
        table.alter_column("mailing_id", existing_type=_Id, nullable=True)
        for name, target in (("request_id", "requests"), ("permit_id", "permits"), ("suspension_id", "suspensions")):
            table.add_column(sa.Column(name, _Id, nullable=True))
            table.create_foreign_key(f"events_{name}_fkey", target, [name], ["id"])
    for name in ("request", "permit", "suspension"):
        op.create_index(f"events_by_{name}", "events", [f"{name}_id"])
