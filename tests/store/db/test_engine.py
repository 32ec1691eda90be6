"""Postgres and the ways to it: a pool with an end, servers that vanish, time that all share."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
import sqlalchemy as sa

from gatekeeper.store import Database, Store, StoreError
from gatekeeper.store.db import statements

SECONDS = "SELECT extract(epoch FROM clock_timestamp())::float8"


@pytest.fixture
def store(laid_out_url):
    opened = Store(Database(laid_out_url, timeout=0.5, connections=2))
    opened.open()
    yield opened
    opened.close()


def other(store: Store) -> psycopg.Connection:
    """A connection beside the gate's."""
    return psycopg.connect(store.database.url.set(drivername="postgresql").render_as_string(hide_password=False))


async def test_a_pool_with_nothing_left_is_an_outage_and_not_a_wait(store):
    taken = [store.database.engine.connect() for _ in range(2)]
    with pytest.raises(StoreError, match="QueuePool limit"):
        async with asyncio.timeout(20):
            await store.run(lambda connection: None)
    with pytest.raises(StoreError, match="QueuePool limit"):
        async with asyncio.timeout(20):
            await store.read(lambda connection: None)
    for each in taken:
        each.close()
    assert await store.run(lambda connection: 1) == await store.read(lambda connection: 1) == 1


async def test_a_server_that_takes_no_more_connections_is_an_outage(store, laid_out_url):
    name = store.database.url.database
    store.database.dispose()
    with psycopg.connect(laid_out_url.replace(f"/{name}?", "/postgres?"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        admin.execute("CREATE ROLE gate LOGIN")
        try:
            limited = Store(Database(laid_out_url.replace("postgres:@", "gate:@"), timeout=0.5))
            with pytest.raises(StoreError, match="too many connections"):
                limited.writer.call(lambda connection: None)
        finally:
            admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
            admin.execute("DROP ROLE gate")


async def test_connections_that_the_server_ended_are_made_anew(store):
    await store.run(lambda connection: None)
    with other(store) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gatekeeper'")
    assert await store.run(lambda connection: 1) == 1


def test_a_session_says_when_to_give_it_up(store):
    """A node that vanishes in mid-transaction must not keep its locks for as long as TCP remembers it."""

    def settings(connection):
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]

    assert store.call(settings) == ["500ms", "1s", "1s", "on"]


async def test_locks_of_a_node_that_stands_still_are_given_back(store):
    """As of a node whose network was cut: it neither goes on nor ends."""
    stuck = Database(store.database.url.render_as_string(hide_password=False).replace("+psycopg", ""), timeout=0.5)
    with stuck.engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7)")
        end = time.monotonic() + 30
        while True:
            try:
                assert await store.writer.submit(lambda c: 1, locks=[7]) == 1
                break
            except StoreError:
                assert time.monotonic() < end
        connection.invalidate()


async def test_a_server_that_has_become_a_standby_is_an_outage_and_left(store):
    await store.run(lambda connection: None)

    def write_as_on_a_standby(connection):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql("INSERT INTO counters (name, value) VALUES ('x', 1)")

    with pytest.raises(StoreError, match="read-only transaction"):
        await store.run(write_as_on_a_standby)
    assert store.database.engine.pool.checkedin() == 0, "the old server's connections are kept"


# -- time ----------------------------------------------------------------------------------------------------------


def seconds_of(store: Store) -> float:
    return store.call(lambda connection: connection.exec_driver_sql(SECONDS).scalar_one())


def test_a_machine_whose_clock_is_wrong_goes_by_the_databases(store, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert abs(store.now() - seconds_of(store)) < 60
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert abs(store.now() - seconds_of(store)) < 60


def test_the_database_is_not_asked_for_the_time_at_every_message(store):
    asked = []
    sa.event.listen(
        store.database.engine, "before_cursor_execute", lambda *given: asked.append("clock_timestamp" in given[2])
    )
    for _ in range(20):
        store.call(lambda connection: None)
    assert sum(asked) <= 3, "once, or more where the machine is so slow that ten seconds pass"


def test_time_stands_still_for_nobody_while_the_database_is_away(laid_out_url):
    store = Store(Database(laid_out_url, timeout=0.5))
    before = time.time()
    assert store.now() >= before, "never asked: this machine's"
    store.open()
    first = store.now()
    assert store.now() >= first
    store.close()
    assert store.now() >= first


def test_no_statement_of_the_message_path_is_prepared_again_and_again(postgres_url):
    """Of many rows there is a statement for each number of them: more than psycopg keeps of itself."""
    with Database(postgres_url, 5).engine.connect() as connection:
        assert connection.connection.driver_connection.prepared_max > 3 * statements._FEW + 100
