"""How many octets of large messages are in memory at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


def _unnoted(octets: int) -> None:
    """Where nobody wants to know."""


class Allowance:
    """Octets that may be had at once; what was had is given back. Of one event loop."""

    def __init__(self, octets: int, noted: Callable[[int], None] = _unnoted) -> None:
        """Args: `noted` is told of each change, in octets."""
        self.taken = 0
        self._whole, self._noted = octets, noted
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take_now(self, octets: int) -> bool:
        """Have as many, where there are as many and nobody waits for them."""
        if self._waiting or self.taken + octets > self._whole:
            return False
        self._take(octets)
        return True

    async def take(self, octets: int) -> None:
        """Wait for as many, in the order of asking. Who wants more than there are has them alone."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((octets, waiter))
        self._serve()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._serve()  # who waited behind it
            else:
                self.give_back(octets)  # they came in the turn in which nobody wanted them any more
            raise

    def give_back(self, octets: int) -> None:
        """Let others have them."""
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
