"""Who is connected to a listener, and the work that outlives a connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from typing import Any, Protocol, TypeVar

from gatekeeper.settings import Listening, Network, contains
from gatekeeper.smtp.replies import Reply, reply

_STRANGER = reply(554, "your network may not send here; ask the administrator to name it in --clients", "5.7.1")
_FULL = reply(421, "too many connections, try again later", "4.3.2")
_TOO_MANY = reply(421, "too many connections from your address, try again later", "4.7.0")

# Who has reset its connection before it was let in has no address any more, but what it sent can still be read: it is
# nobody's, and no unix socket's.
GONE = "unknown"

T = TypeVar("T")


def among(networks: tuple[Network, ...]) -> Callable[[str], bool]:
    """Tells whether an IP address is in one of the networks, and remembers it of those that come again and again."""
    return lru_cache(maxsize=4096)(partial(contains, networks))


class Guest(Protocol):
    """What is to be known of a connection."""

    @property
    def peer(self) -> str:
        """Its IP address; "" where the mode of a unix socket's file has let it in already, GONE where it has none."""
        ...

    def wind_up(self) -> None: ...

    def abort(self) -> None: ...


class Guests:
    """The connections of one listener, and what they have begun."""

    def __init__(self, settings: Listening, most_per_client: int) -> None:
        self.settings = settings
        self._most_per_client = most_per_client
        self._may_connect = among(settings.clients)
        self._guests: dict[Guest, str] = {}  # and where each came from, which may be gone when it leaves
        self._per_client: Counter[str] = Counter()
        self._work: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._still = asyncio.Event()  # set whenever a connection or a piece of work has ended

    # -- the doors --

    def __len__(self) -> int:
        return len(self._guests)

    def guests(self) -> list[Guest]:
        """Who is connected."""
        return list(self._guests)

    def enter(self, guest: Guest) -> Reply | None:
        """Let a connection in, or give the reply that it is refused with."""
        refusal = self._refusal(guest.peer)
        if refusal is None:
            peer = self._guests[guest] = guest.peer
            self._per_client[peer] += 1
            if self._closed:
                guest.wind_up()
        return refusal

    def _refusal(self, peer: str) -> Reply | None:
        if peer and not self._may_connect(peer):
            return _STRANGER
        if len(self._guests) >= self.settings.max_connections:
            return _FULL
        return _TOO_MANY if self._per_client[peer] >= self._most_per_client else None

    def leave(self, guest: Guest) -> None:
        """Let a connection go; harmless for one that was refused."""
        peer = self._guests.pop(guest, None)
        if peer is None:
            return
        self._still.set()
        self._per_client[peer] -= 1
        if not self._per_client[peer]:
            del self._per_client[peer]

    async def empty(self, grace: float) -> int:
        """Send all away: the idle at once, the others when their message is done, at most `grace` seconds.

        Returns how many connections had to be cut. Work that outlives connections is waited for, never cancelled.
        """
        self._closed = True
        end = asyncio.get_running_loop().time() + grace
        for guest in list(self._guests):
            guest.wind_up()
        await self._until_empty(end)
        late = list(self._guests)
        for guest in late:
            guest.abort()
        return len(late)

    async def _until_empty(self, end: float) -> None:
        try:
            async with asyncio.timeout_at(end):
                while self._guests or self._work:
                    self._still.clear()
                    await self._still.wait()
        except TimeoutError:
            return  # the caller cuts off what is left

    # -- work that outlives a client --

    def track(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work in a task that is kept until it ends, whoever began it."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        self._still.set()
