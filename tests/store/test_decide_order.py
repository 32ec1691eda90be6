"""What waits together at the writer is decided in the order in which it came."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from gatekeeper.model import Action, Outcome
from gatekeeper.store import Arrival, Gathering, Store, StoreError
from tests.store.arrivals import arrival, limit, people

GATHERING = Gathering(opens=False, quiet=20, limit=300)


async def decided_at_once(store: Store, arrivals: list[Arrival], users: int) -> list[Outcome]:
    """What becomes of these, which come in this order while the writer is at work on something else."""
    begun, over = threading.Event(), threading.Event()
    work = asyncio.create_task(store.run(lambda connection: begun.set() or over.wait(10)))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [asyncio.create_task(store.decide(each, limit(users))) for each in arrivals]
    await asyncio.sleep(0)
    over.set()
    await work
    return await asyncio.gather(*waiting)


def batch(recipients: list[str], *, opens: bool, subject: str = "open enrolment", message: int = 1) -> Arrival:
    one = arrival(recipients, subject=subject, message_id=f"{message}@x")
    return replace(one, gathering=replace(GATHERING, opens=opens))


async def test_the_small_rest_of_cut_up_mail_does_not_overtake_it(store: Store) -> None:
    """Batches that arrive within `gather.quiet` of each other leave whole or not at all."""
    first, rest = batch(people(50), opens=True), batch(people(7, start=50), opens=False)
    gathered = await decided_at_once(store, [first, rest], 2000)
    assert [each.gathered for each in gathered] == [True, True]
    assert gathered[1].counts.users == 57


async def test_nor_does_what_joins_it_only_by_another(store: Store) -> None:
    """The third has no key in common with the first; the second has one of each."""
    first = batch(people(50), opens=True, subject="a", message=1)
    second = batch(people(7, start=50), opens=False, subject="b", message=1)
    third = batch(people(7, start=60), opens=False, subject="b", message=2)
    assert [each.gathered for each in await decided_at_once(store, [first, second, third], 2000)] == [True] * 3


async def test_what_follows_mail_that_is_held_is_held_with_it(store: Store) -> None:
    over, small = batch(people(30), opens=False), batch(people(2, start=30), opens=False)
    held = await decided_at_once(store, [over, small], 20)
    assert [each.verdict.action for each in held] == [Action.HOLD, Action.HOLD]


async def test_a_fault_of_the_database_in_one_is_a_fault_of_the_database(store: Store) -> None:
    """Not of the gate: the caller must know that there is no decision for want of a database."""
    await store.decide(arrival(people(3)), limit(2000))
    await store.run(lambda connection: connection.execute(text("ALTER TABLE mailing_people RENAME TO gone")))
    with pytest.raises(StoreError):
        await store.decide(arrival(people(5)), limit(2000))
