"""Tasks that must not die: with the connection that began them, or of a fault in what they do again and again."""

from __future__ import annotations

import asyncio
import logging
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
