"""Nodes are upgraded one after the other: what a migration leaves to the programs that are older than it."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gatekeeper.store import Database, Store, StoreSetupError
from gatekeeper.store.db.engine import NEWEST_SCHEMA, schema_version
from gatekeeper.store.db.schema_version import oldest_of, oldest_that_works

MIGRATIONS = "gatekeeper/store/migrations"
NEWER = f"{int(NEWEST_SCHEMA) + 1:04}"


def upgrade(url: str, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    engine = Database(url, 5).engine
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    engine.dispose()


def columns(url: str) -> dict[tuple[str, str], dict]:
    """What there is in a database: by table and column."""
    engine = Database(url, 5).engine
    inspector = sa.inspect(engine)
    found = {
        (table, column["name"]): column
        for table in inspector.get_table_names()
        for column in inspector.get_columns(table)
    }
    engine.dispose()
    return found


def make_newer(url: str, oldest: int) -> None:
    """A later program has upgraded the database, with a migration that says which programs it leaves working."""
    with Database(url, 5).engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE mailings ADD COLUMN fashion TEXT")
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{NEWER}'")
        connection.exec_driver_sql(f"INSERT INTO counters VALUES ('oldest program for schema {NEWER}', {oldest})")


def test_an_upgrade_writes_down_who_still_works(store):
    expected = oldest_of(ScriptDirectory(MIGRATIONS))
    assert store.call(lambda connection: oldest_that_works(connection, NEWEST_SCHEMA)) == expected
    assert expected <= NEWEST_SCHEMA


def test_a_program_opens_a_newer_database_that_it_still_works_on(database_url, caplog):
    Database(database_url, 5).prepare()
    make_newer(database_url, int(NEWEST_SCHEMA))
    store = Store(Database(database_url, 5))
    with caplog.at_level(logging.WARNING, "gatekeeper.store"):
        store.open()
    assert f"its schema is {NEWER}, newer than {NEWEST_SCHEMA}: upgrade this node soon" in caplog.text
    assert store.call(schema_version) == NEWER, "an older program must not take the schema back"
    store.close()


def test_a_program_refuses_a_newer_database_that_demands_more(database_url):
    Database(database_url, 5).prepare()
    make_newer(database_url, int(NEWER))
    with pytest.raises(StoreSetupError, match=f"its schema is {NEWER}, this program knows {NEWEST_SCHEMA}: install"):
        Store(Database(database_url, 5)).open()


def test_what_migrations_add_leaves_the_programs_working_that_they_say(database_url, tmp_path):
    """Nothing that an older program reads is gone, and nothing is demanded that it does not write."""
    oldest = oldest_of(ScriptDirectory(MIGRATIONS))
    upgrade(database_url, oldest)
    before = columns(database_url)
    upgrade(database_url, "head")
    after = columns(database_url)
    assert before.keys() <= after.keys(), "taken away: say WORKS_WITH"
    known = {table for table, _ in before}
    demanded = {
        name
        for name in after.keys() - before.keys()
        if name[0] in known and not after[name]["nullable"]
        if after[name]["default"] is None
    }
    assert not demanded, "demanded of programs that do not know it: a default, or WORKS_WITH"
    assert {name for name in before if str(before[name]["type"]) != str(after[name]["type"])} == set()
