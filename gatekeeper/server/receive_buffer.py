"""Octets that were received and are not processed yet."""

from __future__ import annotations

import asyncio

from gatekeeper.smtp.buffer import MemoryBuffer

HIGH_WATER = 262_144  # octets above which reading from the client is paused


class ReceiveBuffer:
    """Keeps received octets until they are taken, all at once, and pauses the transport where there are too many.

    It replaces the stream reader of aiosmtpd, which copies everything twice and is read line by line.
    """

    def __init__(self) -> None:
        self.transport: asyncio.ReadTransport | None = None  # STARTTLS replaces it
        self._pieces = MemoryBuffer()
        self.waiting = False  # there are octets to take
        self.eof = False  # nothing more will come
        self.held = False  # reading is paused until `resume`
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self.waiting = True
        self._pieces.add(data)
        if len(self._pieces) > HIGH_WATER:
            self._pause()
        self._wake()

    def feed_eof(self) -> None:
        """Note that the client has closed its side."""
        self.eof = True
        self._wake()

    def clear(self) -> None:
        """Discard all octets."""
        self._pieces.clear()
        self.waiting = False

    async def take(self) -> bytes:
        """Wait for octets and return all there are; b"" where the client has closed its side."""
        if not self.waiting and not self.eof:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.take_now()

    def take_now(self) -> bytes:
        """Return all octets there are; b"" for none."""
        data = self._pieces.take()
        self.waiting = False
        if self._paused and not self.held:
            self._resume()
        return data

    def pause(self) -> None:
        """Pause the transport until `resume`, whatever is taken."""
        self.held = True
        self._pause()

    def resume(self) -> None:
        """Read on, unless too much is buffered."""
        self.held = False
        if self._paused and len(self._pieces) <= HIGH_WATER:
            self._resume()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter and not waiter.done():
            waiter.set_result(None)

    def _pause(self) -> None:
        if self.transport is not None and not self._paused and not self.transport.is_closing():
            self.transport.pause_reading()
            self._paused = True

    def _resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self._paused = False
