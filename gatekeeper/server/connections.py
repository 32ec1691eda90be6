"""The connections of one listener, and work that outlives a connection."""

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

# The peer of a client that has reset its connection before it was accepted: its address is gone, though its octets can
# still be read. It matches no network, and is not a unix socket.
GONE = "unknown"

T = TypeVar("T")
OnRefused = Callable[[str, Reply], None]  # called with a stage of refusals.STAGES, and the reply


def uncounted(stage: str, reply: Reply) -> None:
    """Do nothing, where refusals are not counted."""


def peer_of(name: object, of_unix_socket: str) -> tuple[str, int]:
    """Return host and port of a transport's peer name; GONE where the client has left."""
    if isinstance(name, tuple):
        return str(name[0]).removeprefix("::ffff:"), int(name[1])
    return (GONE if name is None else of_unix_socket), 0


def membership_test(networks: tuple[Network, ...]) -> Callable[[str], bool]:
    """Return a function that tells whether an IP address is in one of the networks; it remembers recent addresses."""
    return lru_cache(maxsize=4096)(partial(contains, networks))


class ListenerConnection(Protocol):
    """What the registry of connections needs of one connection."""

    @property
    def peer(self) -> str:
        """The client's IP address; "" on a unix socket, whose file mode has let it in already; GONE where there is
        none.
        """
        ...

    def shut_down(self) -> None: ...

    def abort(self) -> None: ...


class Connections:
    """The connections of one listener, and the tasks that they have begun."""

    def __init__(self, settings: Listening, most_per_client: int, refused: OnRefused) -> None:
        self.settings, self.refused = settings, refused
        self._most_per_client = most_per_client
        self._may_connect = membership_test(settings.clients)
        self._connections: dict[
            ListenerConnection, str
        ] = {}  # with the peer, which may be unknown when the connection ends
        self._per_client: Counter[str] = Counter()
        self._work: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._still = asyncio.Event()  # set whenever a connection or a piece of work has ended

    # -- who is connected ----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._connections)

    def connections(self) -> list[ListenerConnection]:
        """Return the connections."""
        return list(self._connections)

    def add(self, connection: ListenerConnection) -> Reply | None:
        """Register a connection, or return the reply that it is refused with."""
        refusal = self._refusal(connection.peer)
        if refusal is None:
            peer = self._connections[connection] = connection.peer
            self._per_client[peer] += 1
            if self._closed:
                connection.shut_down()
        return refusal

    def _refusal(self, peer: str) -> Reply | None:
        if peer and not self._may_connect(peer):
            return _STRANGER
        if len(self._connections) >= self.settings.max_connections:
            return _FULL
        return _TOO_MANY if self._per_client[peer] >= self._most_per_client else None

    def remove(self, connection: ListenerConnection) -> None:
        """Unregister a connection; harmless for one that was refused."""
        peer = self._connections.pop(connection, None)
        if peer is None:
            return
        self._still.set()
        self._per_client[peer] -= 1
        if not self._per_client[peer]:
            del self._per_client[peer]

    async def drain(self, grace: float) -> int:
        """Close all connections: idle ones at once, the others when their message is done, at most `grace` seconds
        later.

        Returns how many connections had to be cut off. Work that outlives connections is waited for, never cancelled.
        """
        self._closed = True
        end = asyncio.get_running_loop().time() + grace
        for connection in list(self._connections):
            connection.shut_down()
        await self._until_empty(end)
        late = list(self._connections)
        for connection in late:
            connection.abort()
        return len(late)

    async def _until_empty(self, end: float) -> None:
        try:
            async with asyncio.timeout_at(end):
                while self._connections or self._work:
                    self._still.clear()
                    await self._still.wait()
        except TimeoutError:
            return  # the caller cuts off what is left

    # -- work that outlives a client -----------------------------------------------------------------------------

    def track(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work in a task that is kept until it ends, whatever becomes of its connection."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        self._still.set()
