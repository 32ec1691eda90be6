"""Nodes are upgraded one after the other: what a migration leaves to the programs that are older than it."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gatekeeper.ledger.signins import Signins
from gatekeeper.store import Database, Store, StoreSetupError, signins
from gatekeeper.store.db.engine import NEWEST_SCHEMA, schema_version
from gatekeeper.store.db.schema_version import oldest_of, oldest_that_works

MIGRATIONS = "gatekeeper/store/migrations"
NEWER = f"{int(NEWEST_SCHEMA) + 1:04}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path) -> str:
    """A database of each kind in turn that has no schema yet: `database_url` has the newest."""
    return f"sqlite:///{tmp_path}/old.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


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


def test_what_migrations_add_leaves_the_programs_working_that_they_say(empty_url):
    """Nothing that an older program reads is gone, and nothing is demanded that it does not write."""
    oldest = oldest_of(ScriptDirectory(MIGRATIONS))
    upgrade(empty_url, oldest)
    before = columns(empty_url)
    upgrade(empty_url, "head")
    after = columns(empty_url)
    assert not before.keys() - after.keys(), "taken away: say WORKS_WITH"
    known = {table for table, _ in before}
    demanded = {
        name
        for name in after.keys() - before.keys()
        if name[0] in known and not after[name]["nullable"]
        if after[name]["default"] is None
    }
    assert not demanded, "demanded of programs that do not know it: a default, or WORKS_WITH"
    kept = before.keys() & after.keys()
    assert {name for name in kept if str(before[name]["type"]) != str(after[name]["type"])} == set()


LINK = "INSERT INTO signin_links (token, address, made_at, until) VALUES (:token, 'cio@example.gov', 1, 9e9)"


def test_a_database_of_the_first_console_is_upgraded_with_its_links(empty_url):
    """Its tables are as its program made them: a migration that has been released stays as it is."""
    upgrade(empty_url, "0017")
    expected = {"token", "address", "browser", "code", "tries", "made_at", "until"}
    assert {name for table, name in columns(empty_url) if table == "signin_links"} == expected
    with Database(empty_url, 5).engine.begin() as connection:
        connection.execute(sa.text(LINK), {"token": signins.hashed("known")})
    store = Store(Database(empty_url, 5))
    store.open()
    assert Signins(store, clock=lambda: 2.0).use("known").address == "cio@example.gov"
    store.close()
