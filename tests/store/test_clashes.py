"""Groups of work that wait for each other on Postgres: each piece is done once, however often they meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psycopg
import pytest
from sqlalchemy import insert, select, update

from gatekeeper.store import Connection, Database, Store
from gatekeeper.store.db.schema import bodies
from tests.store.arrivals import arrival, limit, people

NAMES = (b"one", b"two")
WRITERS, TIMES = 5, 50


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(Database(url, timeout=10))
    store.open()
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def impatient_url(postgres_url: str) -> str:
    """A database that looks for deadlocks often."""
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    return postgres_url


def deadlocks(url: str) -> int:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"
        return int(connection.execute(query, [name]).fetchone()[0])


def begin(connection: Connection) -> None:
    rows = [{"digest": name, "size": 0, "complete": False, "stored_at": 0.0} for name in NAMES]
    connection.execute(insert(bodies), rows)


def add_one(connection: Connection, name: bytes) -> None:
    connection.execute(update(bodies).where(bodies.c.digest == name).values(size=bodies.c.size + 1))
    time.sleep(0.002)  # so that the other writer has time to lock what we want next


async def test_writers_that_lock_the_same_in_other_orders(impatient_url: str) -> None:
    with ExitStack() as opening:
        stores = [opening.enter_context(opened(impatient_url)) for _ in range(WRITERS)]
        stores[0].call(begin)
        work = [
            store.run(partial(add_one, name=name))
            for place, store in enumerate(stores)
            for name in (NAMES if place % 2 else NAMES[::-1]) * TIMES
        ]
        await asyncio.gather(*work)
        found = stores[0].call(lambda connection: list(connection.execute(select(bodies.c.size)).scalars()))
        assert found == [WRITERS * TIMES] * 2
        assert deadlocks(impatient_url) > 0


async def decide_and_keep(store: Store, number: int) -> None:
    everyone = people(10, start=10 * number)
    mail = arrival(everyone, message_id=f"{number}@doa.example.gov")
    outcome = await store.decide(mail, limit(5))
    assert outcome.batch is not None and await store.keep(mail, outcome.batch)


async def test_workers_that_keep_batches_of_one_mailing_do_not_wait_for_each_other_in_a_ring(postgres_url) -> None:
    with ExitStack() as opening:
        stores = [opening.enter_context(opened(postgres_url)) for _ in range(3)]
        await asyncio.gather(*(decide_and_keep(stores[number % 3], number) for number in range(150)))
    await asyncio.sleep(1.1)  # the server tells its counts once a second
    assert deadlocks(postgres_url) == 0
