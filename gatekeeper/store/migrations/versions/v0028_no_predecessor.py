"""The column that named the closed mailing which another continues: nothing read it.

Programs before schema 27 write it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
WORKS_WITH = "0027"
_KEY = "FOREIGN KEY(predecessor) REFERENCES mailings (id)"


def upgrade() -> None:
    """Take the column away, with its index and its foreign key."""
    op.drop_index("mailings_by_predecessor", "mailings")
    if op.get_context().dialect.name == "sqlite":
        _drop_key()
    op.drop_column("mailings", "predecessor")


def _drop_key() -> None:
    """Take the foreign key out of the table's definition: SQLite drops no column that has one.

    Rows do not depend on it; what writes sees that the definition has changed (https://www.sqlite.org/lang_altertable.html).
    """
    connection = op.get_bind()
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    made: str = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = 'mailings'")).scalar_one()
    kept = [line for line in made.split("\n") if _KEY not in line]
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    changed = sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'mailings'")
    connection.execute(changed, {"sql": "\n".join(kept)})
    connection.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
