"""Indexes on what refers to a row: to remove one, the database looks for all that still refer to it.

Programs of earlier schemas work on this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the indexes."""
    _index("mailings_by_predecessor", "mailings", "predecessor")
    _index("mailings_by_merged", "mailings", "merged_into")
    _index("mailings_by_source", "mailings", "source", given="number")
    _index("jobs_by_mailing", "jobs", "mailing_id")
    _index("requests_by_body", "requests", "body")


def _index(name: str, table: str, column: str, *, given: str = "") -> None:
    there = sa.text(f"{given or column} IS NOT NULL")
    op.create_index(name, table, [column], sqlite_where=there, postgresql_where=there)
