"""The octets of a connection to a next hop: what is written, and the replies that come back."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.wire.replies import ProtocolError, Reply, ReplyParser

_UNREAD_REPLIES = 20_000  # more than we ever have commands under way


class Channel(asyncio.Protocol):
    """One connection. Used by one task at a time; replies are read whether or not anybody waits for them.

    Since replies are taken in while commands are being written, a batch of any length cannot block both sides
    (RFC 2920 3.1).
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._full = False
        self._lost: NextHopError | None = None

    # -- what asyncio calls --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        except ProtocolError as error:
            self._lose(NextHopError("protocol", str(error)))
            self.abort()
        self._wake()

    def _take(self, data: bytes) -> None:
        replies = self._parser.feed(data)
        while replies:
            self._replies.extend(replies)
            replies = self._parser.feed(b"")
        if len(self._replies) > _UNREAD_REPLIES:
            raise ProtocolError(f"{_UNREAD_REPLIES} replies to nothing: expected one a command")

    def eof_received(self) -> None:
        self._lose(NextHopError("closed", "the next hop closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(NextHopError("closed", f"the connection was lost: {error or 'closed'}"))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _lose(self, error: NextHopError) -> None:
        self._lost = self._lost or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # -- what a connection calls --

    @property
    def quiet(self) -> bool:
        """True while the connection stands and everything that was said has been read."""
        return self._lost is None and not self._replies and self._parser.idle

    def write(self, data: bytes) -> None:
        """Hand over octets; never waits."""
        if self._transport and self._lost is None:
            self._transport.write(data)

    async def reply(self, seconds: float) -> Reply:
        """The next reply. Raises NextHopError "timeout", "closed" or "protocol"."""
        if not self._replies:  # thousands come at once: a deadline for each would cost more than they do
            async with _deadline(seconds):
                while not self._replies:
                    await self._event()
        return self._replies.popleft()

    async def writable(self, seconds: float) -> bool:
        """Wait until more can be written: True; False where the next hop spoke first.

        Raises NextHopError "timeout" or "closed".
        """
        async with _deadline(seconds):
            while self._full and not self._replies:
                await self._event()
        if self._lost and not self._replies:
            raise self._lost
        return not self._replies

    async def _event(self) -> None:
        if self._lost:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def encrypt(self, context: ssl.SSLContext, name: str, seconds: float) -> None:
        """Begin TLS after the reply to STARTTLS. Raises NextHopError "tls"."""
        if not self.quiet or self._transport is None:
            # what came in the clear behind the reply must not be taken for the encrypted part (RFC 3207 5)
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


class _deadline:
    """`asyncio.timeout` whose end is a NextHopError."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._timeout = seconds, asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)  # type: ignore[arg-type]
        except TimeoutError:
            raise NextHopError("timeout", f"no answer within {self._seconds:g} s") from None
