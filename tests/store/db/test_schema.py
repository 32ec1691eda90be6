"""The tables that the migrations make are those that the program thinks it has."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gatekeeper.store import Database, Store, StoreError, StoreSetupError
from gatekeeper.store.db.engine import NEWEST_SCHEMA, schema_version
from gatekeeper.store.db.schema import metadata

WORDS = "text_words"  # the index of words: a table of the database's own kind (store/texts.py)
LEFT = "predecessor"  # a column with its index that this program does not know, and leaves to those before it


def test_the_migrations_make_the_schema(store):
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [
            each for each in compare_metadata(context, metadata) if LEFT not in str(each) and WORDS not in str(each)
        ]
        assert found == []


def test_the_newest_schema_is_the_last_migration():
    assert ScriptDirectory("gatekeeper/store/migrations").get_current_head() == NEWEST_SCHEMA


def test_what_refers_to_a_row_is_found_by_an_index():
    """To remove a row, a database looks for those that refer to it; without an index, by reading the whole table."""
    for table in metadata.tables.values():
        found = {next(iter(index.columns)).name for index in table.indexes} | {next(iter(table.primary_key)).name}
        assert {column.name for column in table.columns if column.foreign_keys} <= found, table.name


def test_ids_are_never_given_twice(tmp_path):
    """SQLite reuses the highest id after a delete, but for AUTOINCREMENT: a job named after a batch would be lost."""
    Database(f"sqlite:///{tmp_path}/gate.db", 5).prepare()
    with sqlite3.connect(tmp_path / "gate.db") as connection:
        made = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    assert all("AUTOINCREMENT" in made[name] for name in ("mailings", "batches", "jobs"))


def test_a_database_of_a_newer_program_is_refused(database_url):
    database = Database(database_url, 5)
    database.prepare()
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreSetupError, match="its schema is 9999, this program knows"):
        Database(database_url, 5).prepare()


def test_opening_twice_changes_nothing(database_url):
    for _ in range(2):
        store = Store(Database(database_url, 5))
        store.open()
        with store.database.engine.connect() as connection:
            assert schema_version(connection) == NEWEST_SCHEMA
        store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense", "gate.db"])
def test_a_url_that_cannot_be_used_says_what_was_expected(url):
    with pytest.raises(StoreSetupError, match="expected sqlite:///FILE or postgresql://"):
        Database(url, 5)


async def test_a_deleted_database_is_an_outage_and_not_a_ghost(tmp_path):
    """A connection to a deleted file would go on working, and lose all that it is told."""
    store = Store(Database(f"sqlite:///{tmp_path}/gate.db", 5))
    store.open()
    (tmp_path / "gate.db").rename(tmp_path / "away.db")
    with pytest.raises(StoreError, match="is gone: put it back"):
        await store.run(lambda connection: None)
    (tmp_path / "away.db").rename(tmp_path / "gate.db")
    assert await store.run(lambda connection: 1) == 1
    store.close()


async def test_a_locked_database_is_an_outage_that_ends_by_itself(tmp_path):
    store = Store(Database(f"sqlite:///{tmp_path}/gate.db", timeout=0.2))
    store.open()
    with sqlite3.connect(tmp_path / "gate.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="database is locked"):
            await store.run(lambda connection: None)
        other.execute("ROLLBACK")
    assert await store.run(lambda connection: 1) == 1
    store.close()
