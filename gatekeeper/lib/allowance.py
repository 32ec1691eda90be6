"""Budgets of memory that work takes octets from, and waits for where there are none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


def _nobody_told(octets: int) -> None:
    """Do nothing, where no metric is kept."""


class Allowance:
    """A budget of octets: taken, and given back. Used on one event loop."""

    def __init__(self, octets: int, noted: Callable[[int], None] = _nobody_told) -> None:
        """Args: `noted` is called with each change, in octets."""
        self.taken = 0
        self._whole, self._noted = octets, noted
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_now(self, octets: int) -> bool:
        """Take so many where they are free and nobody waits; return whether they were taken."""
        if self._waiting or self.taken + octets > self._whole:
            return False
        self._take(octets)
        return True

    async def take(self, octets: int) -> None:
        """Wait for so many, first come first served. A request for more than the whole budget gets all of it, alone."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, waiter))
        self._serve()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._serve()  # the requests behind it
            else:
                self.give_back(octets)  # granted in the same turn of the loop in which the request was cancelled
            raise

    def give_back(self, octets: int) -> None:
        """Give octets back, and serve requests that wait."""
        self._take(-octets)
        self._serve()

    def _take(self, octets: int) -> None:
        if octets:
            self.taken += octets
            self._noted(octets)

    def _serve(self) -> None:
        while self._waiting:
            octets, waiter = self._waiting[0]
            if not waiter.done():
                if self.taken and self.taken + octets > self._whole:
                    return
                self._take(octets)
                waiter.set_result(None)
            self._waiting.popleft()

    @asynccontextmanager
    async def taken_for(self, octets: int) -> AsyncIterator[None]:
        """Wait for so many, and give them back at the end of the body."""
        await self.take(octets)
        try:
            yield
        finally:
            self.give_back(octets)
