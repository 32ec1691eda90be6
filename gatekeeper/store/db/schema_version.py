"""Which programs work on a schema, so that nodes can be upgraded one after the other.

A migration that only adds leaves older programs working: they neither read nor write what they do not know. One that
removes something names, as WORKS_WITH, the oldest schema whose programs have done without it. The value of the newest
migration is stored in the database, where a program that is older than that migration can read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from gatekeeper.store.db.schema import counters
from gatekeeper.store.db.statements import upsert

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

_NAME = "oldest program for schema {}"


def oldest_that_works(connection: Connection, version: str) -> str:
    """Return the schema ("0001") of the oldest program that works on this database; its own version where none is
    stored.
    """
    found = connection.execute(select(counters.c.value).where(counters.c.name == _NAME.format(version))).scalar()
    return version if found is None else f"{found:04}"


def record_oldest(connection: Connection, migrations: ScriptDirectory) -> None:
    """Store the value of the newest migration, after an upgrade."""
    oldest, name = int(oldest_of(migrations)), _NAME.format(migrations.get_current_head())
    row = upsert(connection, counters).values(name=name, value=oldest)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": oldest}))


def oldest_of(migrations: ScriptDirectory) -> str:
    """Return the value of the newest migration that has one; else the first schema of all."""
    newest_first: list[Script] = list(migrations.walk_revisions())
    return next((found for each in newest_first if (found := _says(each))), newest_first[-1].revision)


def _says(migration: Script) -> str | None:
    found: str | None = getattr(migration.module, "WORKS_WITH", None)
    return found
