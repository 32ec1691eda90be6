"""Idle connections that are kept between transactions.

A connection without XCLIENT serves any client; one that sent XCLIENT serves that client alone. None is kept longer than
--next-hop-idle: a connection that the MTA would close soon is better closed by us than found closed.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict

from gatekeeper.delivery.route_url import Host
from gatekeeper.delivery.smtp_client import SmtpClient
from gatekeeper.model import Client

MOST_KEPT = 100


class IdleConnections:
    """Idle connections to one host for one client, with the time since when each is idle; the last one used is at
    the end.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[SmtpClient, float]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, connection: SmtpClient, now: float) -> None:
        self._kept.append((connection, now))

    def take(self) -> SmtpClient | None:
        """Return the last one used of those that are still open; None without any."""
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
        """The time since when the first of them is idle; infinity where there is none."""
        return self._kept[0][1] if self._kept else math.inf

    def idle_since(self, moment: float) -> list[SmtpClient]:
        """Remove and return those that have been idle since `moment` or longer."""
        old = [connection for connection, since in self._kept if since <= moment]
        del self._kept[: len(old)]
        return old


class Pool:
    """Idle connections by host and client, the last one used first. One timer finds those that were idle for too
    long.
    """

    def __init__(self, idle_seconds: float, most: int = MOST_KEPT) -> None:
        self._idle_seconds, self._most, self._closed = idle_seconds, most, False
        self._idle: defaultdict[tuple[Host, Client | None], IdleConnections] = defaultdict(IdleConnections)
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def idle(self, host: Host) -> IdleConnections:
        """Return the idle connections to `host` that carry no client identity (no XCLIENT)."""
        return self._idle[host, None]

    def take(self, host: Host, client: Client | None) -> SmtpClient | None:
        """Return an idle connection that is still open, or None."""
        own = self._idle.get((host, client)) if client else None
        connection = own.take() if own else None
        if own is not None and not own:
            del self._idle[host, client]
        if connection or (client and self.idle(host).offers_xclient):
            return connection  # where XCLIENT is offered, a connection without it does not do for a client
        return self.idle(host).take()

    def give(self, connection: SmtpClient) -> None:
        """Keep a connection whose transaction is over, or close it where it cannot be used again."""
        if not connection.usable:
            connection.abort()
        elif self._closed or self._idle_seconds <= 0 or len(self) >= self._most:
            self._leave(connection)
        else:
            connection.used = True
            loop = asyncio.get_running_loop()
            self._idle[connection.host, connection.client].add(connection, loop.time())
            if self._timer is None:
                self._timer = loop.call_later(self._idle_seconds, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        moment = loop.time() - self._idle_seconds
        for key, idle in list(self._idle.items()):
            for connection in idle.idle_since(moment):
                self._leave(connection)
            if not idle and key[1]:
                del self._idle[key]
        oldest = min((idle.oldest for idle in self._idle.values()), default=math.inf)
        self._timer = None if oldest == math.inf else loop.call_at(oldest + self._idle_seconds, self._expire)

    def _leave(self, connection: SmtpClient) -> None:
        task = asyncio.create_task(connection.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self) -> None:
        """Send QUIT on all idle connections; those in use are closed as they come back."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for idle in self._idle.values():
            for connection in idle.idle_since(math.inf):
                self._leave(connection)
        await asyncio.gather(*self._goodbyes, return_exceptions=True)
