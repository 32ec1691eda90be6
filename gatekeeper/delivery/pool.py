"""Connections that are kept between transactions.

One that speaks for nobody in particular is anybody's; one that said XCLIENT is that client's alone. None is kept longer
than --next-hop-idle: what an MTA would close soon is better closed by us than found closed.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict

from gatekeeper.delivery.route_url import Host
from gatekeeper.delivery.smtp_client import Connection
from gatekeeper.model import Client

MOST_KEPT = 100


class Shelf:
    """Idle connections of one kind, the one that was used last at the end, and since when each is idle."""

    def __init__(self) -> None:
        self._kept: list[tuple[Connection, float]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, connection: Connection, now: float) -> None:
        self._kept.append((connection, now))

    def take(self) -> Connection | None:
        """The one that was used last, of those that still stand."""
        while self._kept:
            connection, _ = self._kept.pop()
            if connection.usable:
                return connection
            connection.abort()
        return None

    @property
    def offers_xclient(self) -> bool:
        return bool(self._kept) and "XCLIENT" in self._kept[-1][0].offers

    @property
    def oldest(self) -> float:
        """Since when the first of them is idle; infinity where there is none."""
        return self._kept[0][1] if self._kept else math.inf

    def idle_since(self, moment: float) -> list[Connection]:
        """Take those that are idle since then, or longer."""
        old = [connection for connection, since in self._kept if since <= moment]
        del self._kept[: len(old)]
        return old


class Pool:
    """Idle connections by host and client, the last one used first. One timer finds out which are idle too long."""

    def __init__(self, idle_seconds: float, most: int = MOST_KEPT) -> None:
        self._idle_seconds, self._most, self._closed = idle_seconds, most, False
        self._shelves: defaultdict[tuple[Host, Client | None], Shelf] = defaultdict(Shelf)
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._shelves.values()))

    def shelf(self, host: Host) -> Shelf:
        """Where a host's connections that speak for nobody are."""
        return self._shelves[host, None]

    def take(self, host: Host, client: Client | None) -> Connection | None:
        """A kept connection that still stands, or None."""
        own = self._shelves.get((host, client)) if client else None
        connection = own.take() if own else None
        if own is not None and not own:
            del self._shelves[host, client]
        if connection or (client and self.shelf(host).offers_xclient):
            return connection  # one that speaks for nobody will not do for whom it could speak
        return self.shelf(host).take()

    def give(self, connection: Connection) -> None:
        """Keep a connection whose transaction is over, or close it where it cannot be used again."""
        if not connection.usable:
            connection.abort()
        elif self._closed or self._idle_seconds <= 0 or len(self) >= self._most:
            self._leave(connection)
        else:
            connection.used = True
            loop = asyncio.get_running_loop()
            self._shelves[connection.host, connection.client].add(connection, loop.time())
            if self._timer is None:
                self._timer = loop.call_later(self._idle_seconds, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        moment = loop.time() - self._idle_seconds
        for key, shelf in list(self._shelves.items()):
            for connection in shelf.idle_since(moment):
                self._leave(connection)
            if not shelf and key[1]:
                del self._shelves[key]
        oldest = min((shelf.oldest for shelf in self._shelves.values()), default=math.inf)
        self._timer = None if oldest == math.inf else loop.call_at(oldest + self._idle_seconds, self._expire)

    def _leave(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self) -> None:
        """Say goodbye on all idle connections; those under way are closed as they come back."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for shelf in self._shelves.values():
            for connection in shelf.idle_since(math.inf):
                self._leave(connection)
        await asyncio.gather(*self._goodbyes, return_exceptions=True)
