"""Tasks that outlive who began them, and waits that share one timer."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from gatekeeper.lib.aio import PeriodicTask, Tasks, Timeouts, run_long


async def test_a_task_that_was_adopted_is_waited_for_at_the_end() -> None:
    tasks, done = Tasks(), []

    async def work() -> None:
        tasks.adopt()
        await asyncio.sleep(0.05)
        done.append(True)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    assert len(tasks) == 1
    assert await tasks.drain(5) == 0 and done == [True]
    await task


async def test_patience_ends_for_those_who_waited_too_long_and_for_nobody_else() -> None:
    loop, timeouts = asyncio.get_running_loop(), Timeouts(0.1, look=0.01)
    late, answered = loop.create_future(), loop.create_future()
    timeouts.watch(late)
    timeouts.watch(answered)
    answered.set_result("in time")
    with pytest.raises(TimeoutError):
        await late
    assert await answered == "in time"
    timeouts.watch(later := loop.create_future())  # the timer begins anew
    with pytest.raises(TimeoutError):
        await later


async def test_a_wait_that_was_given_up_is_left_alone() -> None:
    loop, timeouts = asyncio.get_running_loop(), Timeouts(0.02, look=0.01)
    given_up, late = loop.create_future(), loop.create_future()
    timeouts.watch(given_up)
    timeouts.watch(late)
    given_up.cancel()
    with pytest.raises(TimeoutError):
        await late
    assert given_up.cancelled()


async def test_threads_take_brief_turns_only_while_long_work_runs() -> None:
    usual, goes_on = sys.getswitchinterval(), threading.Event()

    def wait() -> float:
        goes_on.wait(10)
        return sys.getswitchinterval()

    first, second = asyncio.create_task(run_long(wait)), asyncio.create_task(run_long(wait))
    await asyncio.sleep(0.05)
    assert sys.getswitchinterval() < usual
    assert await run_long(divmod, 7, 2) == (3, 1)  # the first of three to end changes nothing for the others
    goes_on.set()
    assert max(await asyncio.gather(first, second)) < usual
    assert sys.getswitchinterval() == usual
    with pytest.raises(ZeroDivisionError):
        await run_long(divmod, 1, 0)
    assert sys.getswitchinterval() == usual


async def test_periodic_work_goes_on_after_an_error_and_ends_when_it_is_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs: list[float] = []
    twice = asyncio.Event()

    async def work() -> None:
        runs.append(asyncio.get_running_loop().time())
        if len(runs) == 1:
            raise ZeroDivisionError
        twice.set()

    periodic = PeriodicTask(0.01, work, at_once=True)
    await periodic.stop()  # it has not begun
    periodic.start()
    await asyncio.wait_for(twice.wait(), 5)
    await periodic.stop()
    before = len(runs)
    await asyncio.sleep(0.05)
    assert len(runs) == before and caplog.text.count("periodic work failed") == 1


async def test_the_first_run_comes_after_a_pause_and_a_run_is_ended_in_its_middle() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    periodic = PeriodicTask(0.02, work)
    periodic.start()
    await asyncio.sleep(0)
    assert not begun.is_set()
    await asyncio.wait_for(begun.wait(), 5)
    await periodic.stop()
    assert ended.is_set()
