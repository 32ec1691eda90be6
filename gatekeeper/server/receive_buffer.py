"""Octets that have come in and were not looked at yet."""

from __future__ import annotations

import asyncio

from gatekeeper.smtp.buffer import MemoryBuffer

HIGH_WATER = 262_144  # octets; a client that is faster than we are waits


class Inbox:
    """Keeps what a transport receives until it is taken, all at once, and holds the transport back when it is much.

    Instead of the stream reader of aiosmtpd, which copies everything twice and is asked line by line.
    """

    def __init__(self) -> None:
        self.transport: asyncio.ReadTransport | None = None  # that octets come from; STARTTLS puts another in its place
        self._pieces = MemoryBuffer()
        self.waiting = False  # there is something to take
        self.eof = False  # nothing more will come
        self.held = False  # nothing is to come in until `release`
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Keep octets."""
        self.waiting = True
        self._pieces.add(data)
        if len(self._pieces) > HIGH_WATER:
            self._pause()
        self._wake()

    def feed_eof(self) -> None:
        """Nothing more will come."""
        self.eof = True
        self._wake()

    def clear(self) -> None:
        """Forget what was kept."""
        self._pieces.clear()
        self.waiting = False

    async def take(self) -> bytes:
        """Wait for octets and take all there are; b"" where the client has sent its last."""
        if not self.waiting and not self.eof:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.take_now()

    def take_now(self) -> bytes:
        """Take all there are; b"" where there are none."""
        data = self._pieces.take()
        self.waiting = False
        if self._paused and not self.held:
            self._resume()
        return data

    def hold(self) -> None:
        """Hold the transport back until `release`, whatever is taken."""
        self.held = True
        self._pause()

    def release(self) -> None:
        """Let it go on, where what is kept is not too much."""
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
