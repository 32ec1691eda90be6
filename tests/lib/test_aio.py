"""Tasks that outlive who began them, and waits that share one timer."""

from __future__ import annotations

import asyncio

import pytest

from gatekeeper.lib.aio import Tasks, Timeouts


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
