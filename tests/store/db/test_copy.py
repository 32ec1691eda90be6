"""A database into another, of either kind: whole or not at all, and compared."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.store import Database, Store, StoreSetupError, batch_views, batches, jobs, views
from gatekeeper.store.db import copy as copying
from gatekeeper.store.db.schema import metadata
from tests.store.arrivals import arrival, limit, people
from tests.store.databases import lay_out


@pytest.fixture(params=["sqlite", "postgres"])
def target(request, tmp_path):
    """The address of a database that has its tables and nothing in them."""
    if request.param == "sqlite":
        url = lay_out(tmp_path / "copy.db")
        database = Database(url, 5)
        with database.engine.begin() as connection:
            connection.execute(metadata.tables["secrets"].delete())  # of the gate that has laid it out
        database.dispose()
        return url
    return postgres_database(request, request.getfixturevalue("laid_out"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_target(request, tmp_path):
    """The address of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/copy.db"
    return postgres_database(request, "template1")


def postgres_database(request, template):
    server, name = request.getfixturevalue("postgres_server"), f"copy{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # it goes with the server
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def full(store):
    """A store with ordinary mail, a mailing that is held in two batches and points to one after it, and no last job."""

    async def fill():
        await store.decide(arrival(people(3), subject="lunch", message_id="2@x"), limit(200))
        for start in (0, 240):
            came = arrival(people(240, start=start), body=b"x" * 1_500_000)
            outcome = await store.decide(came, limit(200))
            assert await store.keep(came, outcome.batch)

    asyncio.run(fill())
    store.call(lambda connection: connection.exec_driver_sql("UPDATE mailings SET merged_into = 2 WHERE id = 1"))
    for number in range(3):
        store.call(partial(jobs.enqueue, job=jobs.NewJob(jobs.NOTICE, 5.5, once=f"x{number}", content=b"\x00\xff")))
    store.call(lambda connection: connection.exec_driver_sql("DELETE FROM jobs WHERE once = 'x2'"))
    return store


def url_of(store: Store) -> str:
    kind = "sqlite" if store.database.is_sqlite else "postgresql"
    return store.database.url.set(drivername=kind).render_as_string(hide_password=False)


def rows(database: Database) -> int:
    with database.engine.connect() as connection:
        counted = [sa.select(sa.func.count()).select_from(table) for table in metadata.sorted_tables]
        return sum(connection.execute(query).scalar_one() for query in counted)


def test_all_of_it_is_there_and_works(full, empty_target):
    told = []
    copied = copying.copy(full.database, Database(empty_target, 5), told.append)
    assert copied["batches"] == 2 and copied["batch_recipients"] == 480 and copied["body_chunks"] > 1
    assert sum(told) == 2 * sum(copied.values()) == 2 * rows(full.database)
    copy = Store(Database(empty_target, 5))
    copy.open()
    assert copy.secret == full.secret
    held, theirs = (each.call(views.list_mailings) for each in (copy, full))
    assert held == theirs
    (batch, _) = copy.call(lambda connection: batch_views.find_batches(connection, held[0].key))
    content = copy.call(lambda connection: b"".join(batches.read_chunks(connection, batch.body)))
    assert content == b"x" * 1_500_000
    assert asyncio.run(copy.decide(arrival(people(50)), limit(200))).mailing == held[0].id, "its keys do not join"
    copy.close()


def test_no_number_is_given_twice_not_even_one_of_a_row_that_is_gone(full, target):
    copying.copy(full.database, Database(target, 5))
    copy = Store(Database(target, 5))
    copy.open()
    copy.call(partial(jobs.enqueue, job=jobs.NewJob(jobs.NOTICE, 6.0, once="new")))
    found = copy.call(lambda connection: connection.exec_driver_sql("SELECT id FROM jobs WHERE once = 'new'").scalar())
    assert found > 3
    copy.close()


def test_a_database_that_is_in_use_is_not_copied_into(full, target):
    other = Store(Database(target, 5))
    other.open()
    before = rows(other.database)
    with pytest.raises(StoreSetupError, match="is in use: expected an empty one"):
        copying.copy(full.database, Database(target, 5))
    assert rows(other.database) == before
    other.close()


def test_a_copy_that_is_cut_off_leaves_nothing(full, target):
    class Cut(Exception):
        pass

    def cut(copied):
        if (told.append(copied), sum(told))[1] > 300:
            raise Cut

    empty = Database(target, 5)
    empty.prepare()
    told, fresh = [], rows(empty)
    with pytest.raises(Cut):
        copying.copy(full.database, Database(target, 5), cut)
    assert rows(empty) == fresh, "more than what the migrations put there"
    assert copying.copy(full.database, empty)["batches"] == 2, "a second try"


def test_a_copy_that_differs_is_not_kept(full, target, monkeypatch):
    real = copying._copy_sequence

    def damage(reading, writing, table):
        writing.exec_driver_sql("UPDATE batches SET sender = 'x' WHERE id = 1")
        real(reading, writing, table)

    monkeypatch.setattr(copying, "_copy_sequence", damage)
    with pytest.raises(StoreSetupError, match="batches: the copy differs"):
        copying.copy(full.database, Database(target, 5))
    assert CliRunner().invoke(main, ["mailing", "list", "--database", target]).exit_code == 78, "no ruleset is there"


def test_nobody_writes_to_the_source_meanwhile(full, target):
    """Else mail that was acknowledged while it was copied would be in neither."""
    impatient = Store(Database(url_of(full), timeout=0.2))

    def write(_):
        with pytest.raises(Exception, match="database"):
            impatient.writer.call(partial(jobs.enqueue, job=jobs.NewJob(jobs.NOTICE, 7.0, once="late")))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.copy(full.database, Database(target, 5), write)


def test_the_command_prints_what_it_copied(full, target):
    done = CliRunner().invoke(main, ["db", "copy", "--database", url_of(full), "--to", target])
    assert done.exit_code == 0, done.output
    assert ["batch_recipients", "480"] in [line.split() for line in done.stdout.splitlines()]
    assert "copied and compared" in done.stdout
    again = CliRunner().invoke(main, ["db", "copy", "--database", url_of(full), "--to", target])
    assert again.exit_code == 78 and "is in use" in again.stderr


def test_a_database_that_is_not_there_is_said(tmp_path, target):
    done = CliRunner().invoke(main, ["db", "copy", "--database", f"sqlite:///{tmp_path}/none.db", "--to", target])
    assert done.exit_code == 66 and "no such database" in done.stderr
