"""The listening sockets: opened once, and shared by all processes that accept connections from them.

Workers share one socket, and new connections wait in its queue in the kernel: when a worker dies, another accepts those
that wait, where with SO_REUSEPORT they would be lost with the worker's own queue. asyncio's server accepts all that
wait in one go, which would give them to the worker that woke first; an `Acceptor` accepts one a turn of its loop.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress

from gatekeeper.settings import Endpoint

log = logging.getLogger("gatekeeper.smtp")
_BACKLOG = 1024
_PAUSE = 1.0  # seconds to wait where there are no more file descriptors


def open_sockets(endpoint: Endpoint, mode: int | None = None) -> list[socket.socket]:
    """Listen on every address of the host, or on a unix socket; raise OSError where an address is taken.

    Args: `mode` is that of a unix socket's file; without it the umask applies.
    """
    if endpoint.path:
        return [_open_unix(endpoint.path, mode)]
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            opened.append(_open_tcp(family, address))
    except OSError:
        close_sockets(opened)
        raise
    return opened


def close_sockets(sockets: Sequence[socket.socket]) -> None:
    """Close the sockets in this process; other processes that have them keep them."""
    for each in sockets:
        each.close()


def address_of(listening: socket.socket) -> str:
    """Return the address as `host:port` or `unix:PATH`, with the port that was chosen where 0 was asked for."""
    name = listening.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else f"unix:{name}"


def _open_tcp(family: int, address: object) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
    return _listening(opened, address)


def _open_unix(path: str, mode: int | None) -> socket.socket:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            if _answers(path):
                raise OSError(errno.EADDRINUSE, "another process listens there")
            os.remove(path)  # left behind by an earlier process
    return _listening(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, mode)


def _answers(path: str) -> bool:
    """Return True where a process listens on that unix socket, even if its queue is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True
    return True


def _listening(opened: socket.socket, address: object, mode: int | None = None) -> socket.socket:
    try:
        opened.bind(address)  # type: ignore[arg-type]  # of the kind that its family asks for
        if mode is not None:
            os.chmod(opened.getsockname(), mode)  # before anybody can connect and be refused
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


class Acceptor:
    """Accepts connections from listening sockets, one a turn of the running loop; it owns the sockets."""

    def __init__(self, sockets: Sequence[socket.socket], connection: Callable[[], asyncio.Protocol]) -> None:
        """Args: `connection` makes the protocol of a new connection."""
        self.sockets = list(sockets)
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._accepting: set[asyncio.Task[None]] = set()
        for each in self.sockets:
            self._loop.add_reader(each, self._take_one, each)

    def close(self) -> None:
        """Accept no more connections."""
        for each in self.sockets:
            self._loop.remove_reader(each)
        close_sockets(self.sockets)
        self.sockets = []

    async def wait_for_accepted(self) -> None:
        """Wait until all accepted connections are registered and have begun."""
        await asyncio.gather(*self._accepting)
        await asyncio.sleep(0)  # the first turn of a connection's own task, in which it is registered

    def _take_one(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was quicker, or the client is gone
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            log.error("no connection can be taken in: %s; trying again in %.0f s", error.strerror, _PAUSE)
            self._loop.remove_reader(listening)
            self._loop.call_later(_PAUSE, self._resume, listening)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._begin(connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self.sockets:
            self._loop.add_reader(listening, self._take_one, listening)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._connection, connection)
        except OSError as error:
            log.info("connection lost before its greeting: %s", error)
            connection.close()
