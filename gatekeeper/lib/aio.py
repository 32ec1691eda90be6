"""Tasks that must not die: with the connection that began them, or of a fault in what they do again and again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

log = logging.getLogger("gatekeeper.tasks")
T = TypeVar("T")


async def every(seconds: float, duty: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again, that many seconds after it was done; one fault does not end it for good."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await duty()
        except Exception:
            log.exception("a duty failed")


class Tasks:
    """Keeps tasks alive, and waits for them at the end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end, and return its result to whoever is still there: cancelling the caller leaves it be."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it was raised to the caller, or logged by the work itself

    def adopt(self) -> None:
        """Wait at the end for the task that runs, too: it is one that nobody else cancels."""
        task = asyncio.current_task()
        if task is not None and task not in self._running:
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def drain(self, grace: float) -> int:
        """Wait up to `grace` seconds for what runs, then cancel it; returns how many were cut off."""
        if not self._running:
            return 0
        _, late = await asyncio.wait(self._running, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
        return len(late)


class Patience:
    """How long is waited for each of many things, looked at now and then: a timer for each would cost each."""

    def __init__(self, seconds: float, look: float = 0.5) -> None:
        """Args: `seconds` to wait for each at least, and up to `look` seconds more."""
        self._seconds = seconds
        self._look = look
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()  # in the order of their ends

    def watch(self, future: asyncio.Future[Any]) -> None:
        """Set TimeoutError on the future once its time is over."""
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
