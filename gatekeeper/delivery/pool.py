"""Connections that are kept between transactions.

One that speaks for nobody in particular is anybody's; one that said XCLIENT is that client's alone. None is kept longer
than --next-hop-idle: what an MTA would close soon is better closed by us than found closed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

from gatekeeper.delivery.connection import Connection
from gatekeeper.delivery.routes import Host
from gatekeeper.model import Client

MOST_KEPT = 100


@dataclass(slots=True)
class _Kept:
    connection: Connection
    expiry: asyncio.TimerHandle


class Pool:
    """Idle connections by host and client, the last one used first."""

    def __init__(self, idle_seconds: float, most: int = MOST_KEPT) -> None:
        self._idle_seconds, self._most, self._closed = idle_seconds, most, False
        self._kept: dict[Hashable, list[_Kept]] = defaultdict(list)
        self._goodbyes: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return sum(len(kept) for kept in self._kept.values())

    def take(self, host: Host, client: Client | None) -> Connection | None:
        """A kept connection that still stands, or None."""
        for key in ((host, client), (host, None)) if client else ((host, None),):
            while self._kept[key]:
                kept = self._kept[key].pop()
                kept.expiry.cancel()
                if kept.connection.usable and self._suits(kept.connection, client):
                    return kept.connection
                kept.connection.abort()
            del self._kept[key]
        return None

    @staticmethod
    def _suits(connection: Connection, client: Client | None) -> bool:
        """A connection without identity will not do for a client whom we could speak for by XCLIENT."""
        return client is None or connection.client == client or "XCLIENT" not in connection.offers

    def give(self, connection: Connection) -> None:
        """Keep a connection whose transaction is over, or close it where it cannot be used again."""
        if not connection.usable:
            connection.abort()
        elif self._closed or len(self) >= self._most or self._idle_seconds <= 0:
            self._leave(connection)
        else:
            connection.used = True
            kept = self._kept[(connection.host, connection.client)]
            expiry = asyncio.get_running_loop().call_later(self._idle_seconds, self._expire, connection)
            kept.append(_Kept(connection, expiry))

    def _expire(self, connection: Connection) -> None:
        key = (connection.host, connection.client)
        self._kept[key] = [kept for kept in self._kept[key] if kept.connection is not connection]
        if not self._kept[key]:
            del self._kept[key]
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self) -> None:
        """Say goodbye on all idle connections; those under way are closed as they come back."""
        self._closed = True
        for kept in [kept for several in self._kept.values() for kept in several]:
            kept.expiry.cancel()
            self._leave(kept.connection)
        self._kept.clear()
        await asyncio.gather(*self._goodbyes, return_exceptions=True)
