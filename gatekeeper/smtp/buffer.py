"""Buffers for octets that come in pieces of any size.

Pieces are joined into few objects, because each object costs some fifty octets.
"""

from __future__ import annotations

from typing import Protocol

_SMALL = 4_096  # octets; smaller pieces are joined
_ENOUGH = 65_536  # octets of joined small pieces that make one piece


class OctetBuffer(Protocol):
    """A buffer that keeps octets in order, in memory or elsewhere; `len` is their number."""

    def __len__(self) -> int: ...

    def add(self, piece: bytes) -> None:
        """Append octets."""
        ...

    def take(self) -> bytes:
        """Return all octets and empty the buffer."""
        ...

    def clear(self) -> None:
        """Empty the buffer."""
        ...


class MemoryBuffer:
    """A buffer in memory that keeps octets in order; `len` is their number."""

    def __init__(self) -> None:
        self._whole: list[bytes] = []
        self._small = bytearray()
        self._octets = 0

    def __len__(self) -> int:
        return self._octets

    def add(self, piece: bytes) -> None:
        """Append octets."""
        self._octets += len(piece)
        if len(piece) < _SMALL:
            self._small += piece
        if self._small and (len(piece) >= _SMALL or len(self._small) >= _ENOUGH):
            self._settle()
        if len(piece) >= _SMALL:
            self._whole.append(piece)

    def take(self) -> bytes:
        """Return all octets and empty the buffer."""
        whole = self.take_apart()
        return whole[0] if len(whole) == 1 else b"".join(whole)

    def take_apart(self) -> list[bytes]:
        """Return all octets as a list of pieces, which copies little, and empty the buffer."""
        self._settle()
        whole = self._whole
        self.clear()
        return whole

    def clear(self) -> None:
        """Empty the buffer."""
        self._whole, self._small, self._octets = [], bytearray(), 0

    def _settle(self) -> None:
        if self._small:
            self._whole.append(bytes(self._small))
            self._small = bytearray()
