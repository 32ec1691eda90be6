"""The octets of a connection to a next hop: writing, and reading replies."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.smtp.replies import ProtocolError, Reply, ReplyParser

_UNREAD_REPLIES = 20_000  # more than the commands that we ever have unanswered
_CLOSING = 421  # the code of a reply after which no other comes (RFC 5321 3.8)
T = TypeVar("T")
Then = Callable[[list[Reply] | NextHopError], None]


class ReplyStream(asyncio.Protocol):
    """One connection. Used by one task at a time; replies are read whether or not anybody waits for them.

    Because replies are read while commands are being written, a batch of any length cannot block both sides (RFC 2920
    3.1).
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: list[Reply] = []
        self._awaited: tuple[int, Then] | None = None  # how many replies, and what to call with them
        self._room: asyncio.Future[None] | None = None  # set once more can be written, or a reply has come
        self._loop = asyncio.get_running_loop()
        self._due = math.inf  # deadline of the next reply; the timer checks whether it has moved
        self._awaited_seconds = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._full = False
        self._lost: NextHopError | None = None
        self.quiet = True  # the connection is open, and all replies were read

    # -- what asyncio calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        try:
            replies = self._parser.feed(data)
            awaited = self._awaited
            if awaited is not None and len(replies) == awaited[0] and self.quiet and self._parser.idle:
                self._awaited, self._due = None, math.inf  # as nearly always, all is answered in one piece
                awaited[1](replies)
                return
            self._keep(replies)
        except ProtocolError as error:
            self._lose(NextHopError("protocol", str(error)))
            self.abort()
        self._wake()

    def _keep(self, replies: list[Reply]) -> None:
        while replies:
            self._replies += replies
            replies = [] if self._parser.idle else self._parser.feed(b"")
        self._note_quiet()
        if len(self._replies) > _UNREAD_REPLIES:
            raise ProtocolError(f"{_UNREAD_REPLIES} replies to nothing: expected one a command")

    def _note_quiet(self) -> None:
        self.quiet = self._lost is None and not self._replies and self._parser.idle

    def eof_received(self) -> None:
        self._lose(NextHopError("closed", "the next hop closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        kind = "tls" if isinstance(error, ssl.SSLError) else "closed"  # TLS 1.3 refuses a client after the handshake
        self._lose(NextHopError(kind, f"the connection was lost: {error or 'closed'}"))
        if self._timer:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _lose(self, error: NextHopError) -> None:
        self._lost, self.quiet = self._lost or error, False
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None:
            self._give()
        elif self._room and not self._room.done():
            self._room.set_result(None)

    def _give(self) -> None:
        """Give the replies to who awaits them, once all have come, or the connection has ended."""
        if self._awaited is None:
            return
        count, _ = self._awaited
        if len(self._replies) >= count or any(reply.code == _CLOSING for reply in self._replies):
            replies = self._replies[:count]
            del self._replies[:count]
            self._note_quiet()
            self._tell(replies)
        elif self._lost is not None:
            self._tell(self._lost)
        elif self._replies:
            self._await_until(self._awaited_seconds)  # the time is for each reply

    def _tell(self, said: list[Reply] | NextHopError) -> None:
        if self._awaited is not None:
            (_, then), self._awaited, self._due = self._awaited, None, math.inf
            then(said)

    # -- time: one coarse timer a connection, as nearly all replies come in time ---------------------------------

    def _await_until(self, seconds: float) -> None:
        self._due, self._awaited_seconds = self._loop.time() + seconds, seconds
        if self._timer is None or self._timer.when() > self._due:
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._timer = None
        if self._due == math.inf:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look_at_the_time)
            return
        error = NextHopError("timeout", f"no answer within {self._awaited_seconds:g} s")
        self._due = math.inf
        if self._room and not self._room.done():
            self._room.set_exception(error)
        else:
            self._tell(error)

    # -- used by smtp_client.py ----------------------------------------------------------------------------------

    def write(self, data: bytes | memoryview) -> None:
        """Write octets; never waits."""
        if self._transport and self._lost is None:
            self._transport.write(data)

    def say(self, octets: bytes, count: int, seconds: float, then: Then) -> None:
        """Write octets, and call `then` with the next replies as soon as all have come; never waits.

        Args: `count` of replies; fewer are given where the last of them is 421. `seconds` that each may take. `then` is
        called with NextHopError "timeout", "closed" or "protocol" instead where the connection fails first.
        """
        self._awaited = (count, then)
        self._await_until(seconds)
        if octets:
            self.write(octets)
        if not self.quiet:  # a reply or an error is there already
            self._loop.call_soon(self._give)

    async def replies(self, octets: bytes, count: int, seconds: float) -> list[Reply]:
        """Do as `say`, and wait for the replies. Raises NextHopError where the connection fails first."""
        answered: asyncio.Future[list[Reply]] = self._loop.create_future()
        self.say(octets, count, seconds, partial(settle, answered))
        return await answered

    async def writable(self, seconds: float) -> bool:
        """Wait until more can be written; return True then, False where the next hop replied first.

        Raises NextHopError "timeout" or "closed".
        """
        if self._full and not self._replies:
            self._await_until(seconds)
            while self._full and not self._replies:
                await self._next_event()
            self._due = math.inf
        if self._lost and not self._replies:
            raise self._lost
        return not self._replies

    async def _next_event(self) -> None:
        if self._lost:
            raise self._lost
        self._room = self._loop.create_future()
        try:
            await self._room
        except BaseException:
            self._due = math.inf
            raise
        finally:
            self._room = None

    async def encrypt(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        """Begin TLS after the reply to STARTTLS. Raises NextHopError "tls"."""
        if not self.quiet or self._transport is None:
            # Octets that came in the clear after the reply must not be taken for encrypted ones (RFC 3207 5).
            raise NextHopError("tls", "something came between the answer to STARTTLS and TLS")
        loop = asyncio.get_running_loop()
        try:
            self._transport = await loop.start_tls(
                self._transport, self, context, server_hostname=name, ssl_handshake_timeout=seconds
            )
        except (OSError, TimeoutError) as error:
            raise NextHopError("tls", f"TLS with {name} failed: {error or 'the connection was closed'}") from error

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection once everything is written."""
        if self._transport:
            self._transport.close()


def settle(answered: asyncio.Future[T], said: T | NextHopError) -> None:
    """Give an answer, or raise its error, to who awaits the future; ignore it where nobody does any more."""
    if answered.done():
        return
    if isinstance(said, NextHopError):
        answered.set_exception(said)
    else:
        answered.set_result(said)
