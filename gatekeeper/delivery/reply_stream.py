"""The octets of a connection to a next hop: writing, and reading replies."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable
from typing import cast

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.smtp.replies import ProtocolError, Reply, ReplyParser

_UNREAD_REPLIES = 20_000  # more than the commands that we ever have unanswered
Then = Callable[[Reply | NextHopError], None]
ThenAll = Callable[[list[Reply] | NextHopError], None]


class ReplyStream(asyncio.Protocol):
    """One connection. Used by one task at a time; replies are read whether or not anybody waits for them.

    Because replies are read while commands are being written, a batch of any length cannot block both sides (RFC 2920
    3.1).
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._then: Then | None = None  # called with the next reply, instead of a waiter
        self._then_all: tuple[int, ThenAll] | None = None  # called with so many replies
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
            then = self._then
            if then is not None and len(replies) == 1 and self._parser.idle and not self._replies:
                self._then, self._due, self.quiet = None, math.inf, self._lost is None
                then(replies[0])
                return
            self._keep(replies)
        except ProtocolError as error:
            self._lose(NextHopError("protocol", str(error)))
            self.abort()
        self._wake()

    def _keep(self, replies: list[Reply]) -> None:
        while replies:
            self._replies.extend(replies)
            replies = self._parser.feed(b"")
        self._note_quiet()
        if len(self._replies) > _UNREAD_REPLIES:
            raise ProtocolError(f"{_UNREAD_REPLIES} replies to nothing: expected one a command")

    def _note_quiet(self) -> None:
        self.quiet = self._lost is None and not self._replies and self._parser.idle

    def eof_received(self) -> None:
        self._lose(NextHopError("closed", "the next hop closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(NextHopError("closed", f"the connection was lost: {error or 'closed'}"))
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
        if self._then is not None:
            self._give()
        elif self._then_all is not None:
            self._give_all()
        elif self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _give(self) -> None:
        then = self._then
        said = (self._next() or self._lost) if then else None
        if then and said:
            self._then, self._due = None, math.inf
            then(said)

    def _give_all(self) -> None:
        if self._then_all is None:
            return
        count, then = self._then_all
        whole = len(self._replies) >= count or any(reply.code == 421 for reply in self._replies)
        if whole or self._lost is not None:
            self._then_all, self._due = None, math.inf
            then(self.take_replies(count) if whole or self._lost is None else self._lost)
        elif self._replies:
            self._await_until(self._awaited_seconds)  # the time is for each reply

    def _next(self) -> Reply | None:
        return self.take_replies(1)[0] if self._replies else None

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
        if self._then is not None:
            then, self._then = self._then, None
            then(error)
        elif self._then_all is not None:
            (_, then_all), self._then_all = self._then_all, None
            then_all(error)
        elif self._waiter and not self._waiter.done():
            self._waiter.set_exception(error)

    # -- used by smtp_client.py ----------------------------------------------------------------------------------

    def write(self, data: bytes | memoryview) -> None:
        """Write octets; never waits."""
        if self._transport and self._lost is None:
            self._transport.write(data)

    def take_replies(self, most: int) -> list[Reply]:
        """Return up to `most` replies that were read already."""
        take_replies = self._replies[:most]
        del self._replies[:most]
        self._note_quiet()
        return take_replies

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply. Raises NextHopError "timeout", "closed" or "protocol"."""
        return (await self.replies(1, seconds))[0]

    async def replies(self, most: int, seconds: float) -> list[Reply]:
        """Return the next replies, at least one and at most `most`. Raises NextHopError as `reply` does."""
        if not self._replies:
            self._await_until(seconds)
            while not self._replies:
                await self._event()
            self._due = math.inf
        return self.take_replies(most)

    def ask(self, octets: bytes, seconds: float, then: Then) -> None:
        """Write, and call `then` with the next reply as it comes, or with the error that `reply` would raise."""
        self._then = then
        self._await_until(seconds)
        self.write(octets)
        if not self.quiet:  # a reply or an error is there already
            self._loop.call_soon(self._give)

    def ask_all(self, octets: bytes, count: int, seconds: float, then: ThenAll) -> None:
        """Do as `ask`, with `count` replies at once; with fewer, where the last of them is 421."""
        self._then_all = (count, then)
        self._await_until(seconds)
        self.write(octets)
        if not self.quiet:
            self._loop.call_soon(self._give_all)

    async def writable(self, seconds: float) -> bool:
        """Wait until more can be written; return True then, False where the next hop replied first.

        Raises NextHopError "timeout" or "closed".
        """
        if self._full and not self._replies:
            self._await_until(seconds)
            while self._full and not self._replies:
                await self._event()
            self._due = math.inf
        if self._lost and not self._replies:
            raise self._lost
        return not self._replies

    async def _event(self) -> None:
        if self._lost:
            raise self._lost
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except BaseException:
            self._due = math.inf
            raise
        finally:
            self._waiter = None

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
            raise NextHopError("tls", f"TLS with {name} failed: {error}") from error

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection once everything is written."""
        if self._transport:
            self._transport.close()
