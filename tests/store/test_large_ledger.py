"""What the gate does all day costs the same however much mail the database has seen today.

Counted are the steps of SQLite's virtual machine, which are the same on any machine; a scan of a table shows in them,
also that of a table that refers to a removed row.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event, insert

from gatekeeper.model import Action, Scope
from gatekeeper.store import Database, Store, cleanup, gathering, jobs, permits
from gatekeeper.store.active_mailing import new_row
from gatekeeper.store.cancelled import find_approved
from gatekeeper.store.db import schema
from gatekeeper.store.events import Act
from gatekeeper.store.permits import Grant
from gatekeeper.store.time_bounds import WaitLimits, bound_stored_times
from tests.store.arrivals import NOON, always, arrival, people
from tests.store.databases import lay_out

FEW, MANY = 200, 4000
RELAY = always(Action.RELAY)
EVERY = 20  # steps
Work = Callable[[Store], Awaitable[object]]


async def decide(store: Store) -> None:
    await store.decide(arrival(people(3)), RELAY)


async def merge(store: Store) -> None:
    """The third message is of the first and of the second."""
    for number, (subject, message_id) in enumerate((("a", "1"), ("b", "2"), ("a", "2")), 1):
        await store.decide(arrival(people(number), "head@doa.example.gov", subject, message_id), RELAY)


async def call_off(store: Store) -> None:
    find = partial(find_approved, arrival=arrival(people(1)), secret=store.secret, is_its_subject=lambda subject: True)
    await store.read(find)


async def forget(store: Store) -> None:
    assert await store.run(partial(cleanup.forget_ordinary, before=NOON.timestamp() - 3600, limit=50)) == 50


async def find_nothing_to_forget(store: Store) -> None:
    assert await store.run(partial(cleanup.forget_ordinary, before=NOON.timestamp() - 100_000)) == 0


async def find_no_gathered_mail_to_forget(store: Store) -> None:
    assert await store.run(partial(cleanup.forget_passed, now=NOON.timestamp())) == 0


async def bound_times(store: Store) -> None:
    await store.run(partial(bound_stored_times, now=NOON.timestamp(), limits=WaitLimits(20, 5)))


async def look_for_gathers(store: Store) -> None:
    await store.read(partial(gathering.any_due, now=NOON.timestamp()))


async def look_for_jobs(store: Store) -> None:
    await store.run(partial(jobs.lease, now=NOON.timestamp(), seconds=1, limit=5))


NOW_AND_THEN = [find_nothing_to_forget, find_no_gathered_mail_to_forget, bound_times, look_for_gathers, look_for_jobs]


@pytest.mark.parametrize("work", [decide, merge, call_off, forget, *NOW_AND_THEN])
async def test_others_cost_nothing(work: Work, ledgers: list[Path], tmp_path: Path) -> None:
    few, many = [await steps(work, shutil.copy(ledger, tmp_path)) for ledger in ledgers]
    print(work.__name__, few, many)
    assert many <= 1.5 * few + 20


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A database with few other mailings, and one with many."""
    paths = [tmp_path_factory.mktemp("ledgers") / f"{number}.db" for number in (FEW, MANY)]
    for path, number in zip(paths, (FEW, MANY), strict=True):
        with opened(lay_out(path)) as store:
            store.call(partial(fill, number=number))
    return paths


async def steps(work: Work, ledger: str) -> int:
    """Return how many steps some work takes in a database."""
    with opened(f"sqlite:///{ledger}") as store:
        store.database.dispose()
        with counted(store) as found:
            await work(store)
        return len(found)


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(Database(url, 5))
    store.open()
    try:
        yield store
    finally:
        store.close()


def fill(connection, number: int) -> None:
    """Put ordinary mailings there, of which 50 are a day old, each with its keys and a letter to its sender; and as
    many that one permit has let pass.
    """
    now = NOON.timestamp()
    rows = [new_row(f"source {each:08}".encode(), now - (86_400 if each < 50 else 60)) for each in range(number)]
    connection.execute(insert(schema.mailings), rows)
    ids = range(1, number + 1)
    keys = [{"key": f"key {each:08}".encode(), "mailing_id": each, "kind": "subject"} for each in ids]
    connection.execute(insert(schema.mailing_keys), keys)
    shared = [{"key": f"{each % 7:016}".encode(), "mailing_id": each} for each in ids]
    connection.execute(insert(schema.shared_keys), shared)
    given = Grant("approval", ("approval",), Scope(), now - 60, now + 60, uses=None)
    permits.grant(connection, given, Act(now, "cio@example.gov", "root", "yes"))
    named = {"started_at": now, "sender": "a@doa.example.gov", "mass": True, "state": "released"}
    passed = [{**row, **named, "number": place} for place, row in enumerate(rows)]
    connection.execute(insert(schema.mailings), passed)
    uses = [{"permit_id": 1, "mailing_id": number + each, "claimed_at": now, "relayed": 1} for each in ids]
    connection.execute(insert(schema.permit_uses), uses)
    for each in range(number):
        jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, mailing_id=each + 1, recipient="a@x", content=b"told"))
    connection.execute(schema.jobs.update().values(state="done"))


@contextmanager
def counted(store: Store) -> Iterator[list[None]]:
    """Count steps, by the twenty."""
    found: list[None] = []

    @event.listens_for(store.database.engine, "connect")
    def count(connection, _) -> None:
        connection.set_progress_handler(lambda: found.append(None), EVERY)

    yield found
