"""A message as the octets that go between DATA and the dot (RFC 5321 4.5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK_OCTETS = 262_144
DOT = b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of the message with its leading dots doubled, the dot that ends it within the last block.

    The octets are otherwise those that came in; a message whose last line has no end gets one (RFC 5321 4.1.1.4).
    No more than a block is copied at a time.
    """
    before = b"\r\n"  # the two octets before a block: a leading dot may be the first octet of one
    waiting = b""
    for block in _blocks(chunks):
        if waiting:
            yield waiting
        waiting = (before + block).replace(b"\r\n.", b"\r\n..")[len(before) :]
        before = (before + block[-2:])[-2:]
    yield waiting + (b"" if before == b"\r\n" else b"\r\n") + DOT


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if len(chunk) <= BLOCK_OCTETS:
            yield chunk
            continue
        view = memoryview(chunk)
        for start in range(0, len(chunk), BLOCK_OCTETS):
            yield bytes(view[start : start + BLOCK_OCTETS])
