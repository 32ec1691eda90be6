"""Tasks that outlive their connection, periodic work that survives its errors, long work in threads, and timeouts."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger("gatekeeper.tasks")
T = TypeVar("T")
_BRIEF_SECONDS = 0.0005  # for which a thread with long work keeps the interpreter while the event loop wants it


class PeriodicTask:
    """Work that is done again and again until it is stopped; an error is logged and does not end it."""

    def __init__(self, seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False) -> None:
        """Args: `seconds` of pause before each run of `work`; with `at_once` there is none before the first."""
        self._seconds, self._work, self._at_once = seconds, work, at_once
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """End, in the middle of a run too; harmless before `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _repeat(self) -> None:
        if self._at_once:
            await self._run()
        while True:
            await asyncio.sleep(self._seconds)
            await self._run()

    async def _run(self) -> None:
        try:
            await self._work()
        except Exception:
            log.exception("periodic work failed")


class Tasks:
    """A set of running tasks that are waited for when the process stops."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # so that asyncio does not report it: the caller got it, or the work logged it

    def adopt(self) -> None:
        """Add the current task to the set, so that `drain` waits for it: nobody else cancels such a task."""
        task = asyncio.current_task()
        if task is not None and task not in self._running:
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def drain(self, grace: float) -> int:
        """Wait up to `grace` seconds for the running tasks, then cancel the rest. Returns how many were cancelled."""
        if not self._running:
            return 0
        _, late = await asyncio.wait(self._running, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        return len(late)


def started_threads(number: int, name: str) -> ThreadPoolExecutor:
    """Return a pool whose threads run already: where memory is out, none can be started."""
    pool, all_run = ThreadPoolExecutor(number, name), Barrier(number + 1)
    for _ in range(number):
        pool.submit(all_run.wait)
    all_run.wait()
    return pool


async def run_long(work: Callable[..., T], *arguments: object) -> T:
    """Run `work(*arguments)`, which takes long and computes, in a thread that hardly delays the event loop.

    Meanwhile threads hand over the interpreter ten times as soon as Python lets them by default. Each handing over
    takes CPU time, a tenth of that of ordinary mail, so this holds only as long as such work runs.
    """
    with _brief_turns:
        return await asyncio.to_thread(work, *arguments)


class _BriefTurns:
    """Brief turns of threads for as long as anybody needs them; used in the event loop's thread only."""

    def __init__(self) -> None:
        self._users = 0
        self._usual = 0.0

    def __enter__(self) -> None:
        if not self._users:
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(_BRIEF_SECONDS)
        self._users += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._users -= 1
        if not self._users:
            sys.setswitchinterval(self._usual)


_brief_turns = _BriefTurns()


class Timeouts:
    """One timeout for many futures, checked now and then, because a timer for each future would cost time for each."""

    def __init__(self, seconds: float, look: float = 0.5) -> None:
        """Args: each future may take `seconds`, and up to `look` seconds more, the interval of the checks."""
        self._seconds = seconds
        self._look = look
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()  # in the order of their deadlines

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Set TimeoutError on the future once its time is over, unless it is done by then."""
        loop = future.get_loop()
        if not self._waiting:
            loop.call_later(self._look, self._look_at_all, loop)
        self._waiting.append((loop.time() + self._seconds, future))

    def _look_at_all(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= now):
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(TimeoutError())
        if self._waiting:
            loop.call_later(self._look, self._look_at_all, loop)
