"""Ordinary mail is decided by the event loop for the writer; where the loop cannot, the writer's thread does it."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest

from gatekeeper.model import Counts, Outcome, Standing, Verdict
from gatekeeper.store import Store
from gatekeeper.store import lending as lent
from gatekeeper.store.lending import Lending
from tests.store.arrivals import arrival, people


async def done_by(lending: Lending, work=threading.get_ident) -> int:
    """The thread that did the work, which another thread wanted done."""
    return await asyncio.to_thread(lending.do, asyncio.get_running_loop(), work)


def keep_busy(seconds: float) -> None:
    """What a callback does that takes long."""
    time.sleep(seconds)


async def test_a_loop_that_has_time_does_the_work() -> None:
    assert await done_by(Lending()) == threading.get_ident()


async def test_a_loop_that_does_not_come_in_time_is_not_waited_for() -> None:
    wanted = asyncio.create_task(done_by(Lending()))
    await asyncio.sleep(0)  # from here on it is wanted
    keep_busy(10 * lent._COMES_SECONDS)
    assert await wanted != threading.get_ident()


async def test_a_loop_that_has_ended_is_not_asked() -> None:
    ended = asyncio.new_event_loop()
    ended.close()
    assert await asyncio.to_thread(Lending().do, ended, threading.get_ident) != threading.get_ident()


async def test_what_takes_long_is_not_done_by_the_loop_again_for_a_while(monkeypatch) -> None:
    lending = Lending()
    monkeypatch.setattr(lent, "_APART_SECONDS", 0.1)

    def long() -> int:
        time.sleep(2 * lent._LONG_SECONDS)
        return threading.get_ident()

    assert await done_by(lending, long) == threading.get_ident()
    assert await done_by(lending) != threading.get_ident()
    await asyncio.sleep(0.2)
    assert await done_by(lending) == threading.get_ident()


@pytest.mark.parametrize("error", [ValueError, TimeoutError, KeyboardInterrupt])
async def test_what_the_work_raises_is_raised_to_who_wants_it(error: type[BaseException]) -> None:
    def failing() -> None:
        raise error("of the work")

    def wanting(loop: asyncio.AbstractEventLoop) -> BaseException | None:
        try:
            Lending().do(loop, failing)
        except BaseException as raised:
            return raised
        return None

    raised = await asyncio.to_thread(wanting, asyncio.get_running_loop())
    assert type(raised) is error and str(raised) == "of the work"


async def test_the_work_is_done_once_however_late_the_loop_comes(monkeypatch) -> None:
    """The loop comes for it at about the time when it is no longer waited for."""
    monkeypatch.setattr(lent, "_COMES_SECONDS", 0.002)
    dice, done = random.Random(3), []
    for number in range(200):
        wanted = asyncio.create_task(done_by(Lending(), lambda: done.append((number, threading.get_ident()))))  # noqa: B023
        await asyncio.sleep(0)
        keep_busy(dice.uniform(0.0, 0.004))
        await wanted
    assert [number for number, _ in done] == list(range(200))
    assert len({by == threading.get_ident() for _, by in done}) == 2, "it was never close"


# -- in the store ------------------------------------------------------------------------------------------------


async def judged_by(store: Store, name: str, users: int = 1) -> int:
    """The thread in which a message to so many is judged."""
    threads = []

    def judge(counts: Counts, standing: Standing) -> Verdict:
        threads.append(threading.get_ident())
        return Verdict()

    await store.decide(arrival(people(users), subject=name, message_id=name), judge)
    (thread,) = threads
    return thread


async def test_small_mail_is_judged_on_the_loop_and_what_takes_longer_beside_it(store: Store) -> None:
    here = threading.get_ident()
    assert (await judged_by(store, "small") == here) is store.database.is_sqlite
    assert await judged_by(store, "large", users=150) != here


async def test_a_store_that_is_closed_on_its_loop_still_decides_what_waits(store: Store) -> None:
    """`close` keeps the loop from coming for what the writer lends it, and waits for the writer."""

    async def decide(number: int) -> Outcome:
        return await store.decide(arrival(people(1), subject=str(number), message_id=str(number)), lambda *_: Verdict())

    await decide(0)
    waiting = [asyncio.create_task(decide(number)) for number in range(1, 30)]
    await asyncio.sleep(0)
    store.close()
    assert len({outcome.key for outcome in await asyncio.gather(*waiting)}) == 29
