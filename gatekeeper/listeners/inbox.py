"""Octets that have come in and were not looked at yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gatekeeper.wire.pieces import Pieces

HIGH_WATER = 262_144  # octets; a client that is faster than we are waits


class Inbox:
    """Keeps what a transport receives until it is taken, all at once, and holds the transport back when it is much.

    Instead of the stream reader of aiosmtpd, which copies everything twice and is asked line by line.
    """

    def __init__(self, transport: Callable[[], asyncio.ReadTransport | None]) -> None:
        """Args: `transport` gives the transport that octets come from now (STARTTLS puts another in its place)."""
        self._transport = transport
        self._pieces = Pieces()
        self._eof = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._held = False

    @property
    def awaited(self) -> bool:
        """True where the connection's task waits for octets, and would be woken by them."""
        return self._waiter is not None and not self._held

    @property
    def waiting(self) -> bool:
        """True where there is something to take."""
        return len(self._pieces) > 0

    def feed(self, data: bytes) -> None:
        """Keep octets."""
        self._pieces.add(data)
        if len(self._pieces) > HIGH_WATER and not self._paused:
            self._pause()
        self._wake()

    def feed_eof(self) -> None:
        """Nothing more will come."""
        self._eof = True
        self._wake()

    def clear(self) -> None:
        """Forget what was kept."""
        self._pieces.clear()

    async def take(self) -> bytes:
        """Wait for octets and take all there are; b"" where the client has sent its last."""
        if not self._pieces and not self._eof:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._pieces.take()
        if self._paused:
            self._resume()
        return data

    def hold(self) -> None:
        """Let whoever waits go on waiting, whatever comes, until `release`."""
        self._held = True

    def release(self, *, wake: bool = False) -> None:
        """End `hold`: wake who waits where something has come meanwhile, or with `wake` anyway."""
        self._held = False
        if wake or self._pieces or self._eof:
            self._wake()

    def _wake(self) -> None:
        if self._held:
            return
        waiter, self._waiter = self._waiter, None
        if waiter and not waiter.done():
            waiter.set_result(None)

    def _pause(self) -> None:
        transport = self._transport()
        if transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._paused = True

    def _resume(self) -> None:
        transport = self._transport()
        if transport is not None and not transport.is_closing():
            transport.resume_reading()
        self._paused = False
