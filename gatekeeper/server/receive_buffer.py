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

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self.waiting = True
        self._pieces.add(data)
        if len(self._pieces) > HIGH_WATER:
            self._pause()

    def clear(self) -> None:
        """Discard all octets."""
        self._pieces.clear()
        self.waiting = False

    def take(self) -> bytes:
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

    def _pause(self) -> None:
        if self.transport is not None and not self._paused and not self.transport.is_closing():
            self.transport.pause_reading()
            self._paused = True

    def _resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        self._paused = False
