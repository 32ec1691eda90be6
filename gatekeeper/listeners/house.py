"""What the connections of one listener share: the rooms behind it, its doors, and the work that outlives a client."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from gatekeeper.listeners.seams import NextHop, Pipeline
from gatekeeper.settings import Listening, contains
from gatekeeper.wire.replies import Reply, reply

BEFORE_QUEUE_SECONDS = 90.0  # from the dot to the reply: Postfix waits 100 for a proxy (smtpd_proxy_timeout)
IMPLEMENTED = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")

_STRANGER = reply(554, "your network may not send here; ask the administrator to name it in --clients", "5.7.1")
_FULL = reply(421, "too many connections, try again later", "4.3.2")
_TOO_MANY = reply(421, "too many connections from your address, try again later", "4.7.0")
_CLOSED = reply(421, "going down, try again later", "4.3.2")

T = TypeVar("T")


class Guest(Protocol):
    """What the house sees of a connection."""

    @property
    def peer(self) -> str: ...

    def wind_up(self) -> None: ...

    def abort(self) -> None: ...


class House:
    """One listener's connections and what they need."""

    def __init__(
        self,
        settings: Listening,
        next_hop: NextHop,
        pipeline: Pipeline,
        sender_allowed: Callable[[str], bool],
        obstacle: Callable[[], Reply | None],
    ) -> None:
        self.settings, self.next_hop, self.pipeline = settings, next_hop, pipeline
        self.sender_allowed, self.obstacle = sender_allowed, obstacle
        self.answer_within = BEFORE_QUEUE_SECONDS if settings.listen.before_queue else None
        self.shared: Mapping[str, Any] = {}  # what every connection begins with; set as the listener starts
        self._guests: set[Guest] = set()
        self._per_client: Counter[str] = Counter()
        self._work: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._still = asyncio.Event()  # set whenever a connection or a piece of work has ended

    # -- the doors --

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, guest: Guest) -> Reply | None:
        """Let a connection in, or give the reply that it is refused with."""
        refusal = self._refusal(guest.peer)
        if refusal is None:
            self._guests.add(guest)
            self._per_client[guest.peer] += 1
        return refusal

    def _refusal(self, peer: str) -> Reply | None:
        if not contains(self.settings.clients, peer):
            return _STRANGER
        if self._closed:
            return _CLOSED
        if len(self._guests) >= self.settings.max_connections:
            return _FULL
        return _TOO_MANY if self._per_client[peer] >= self.settings.max_connections_per_client else None

    def leave(self, guest: Guest) -> None:
        """Let a connection go; harmless for one that was refused."""
        if guest not in self._guests:
            return
        self._guests.discard(guest)
        self._still.set()
        self._per_client[guest.peer] -= 1
        if not self._per_client[guest.peer]:
            del self._per_client[guest.peer]

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

    # -- what is offered --

    async def offers(self) -> dict[str, str]:
        """EHLO keywords that every next hop offers and we implement, with their arguments."""
        theirs = await self.next_hop.extensions()
        ours = {keyword: "" for keyword in IMPLEMENTED if keyword in theirs}
        return ours | ({"SIZE": str(self._smaller(theirs["SIZE"]))} if "SIZE" in theirs else {})

    def _smaller(self, theirs: str) -> int:
        limit = int(theirs) if theirs.isdigit() else 0  # 0 or nothing: no fixed limit (RFC 1870 4)
        return min(limit, self.settings.max_size) if limit else self.settings.max_size

    def size_limit(self, offered: Mapping[str, str]) -> int:
        """The largest message that is taken from a client that was offered this, in octets."""
        return int(offered.get("SIZE", self.settings.max_size))
