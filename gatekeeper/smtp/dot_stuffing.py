"""Encode a message as the octets that follow DATA, the final dot included (RFC 5321 4.5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK_OCTETS = 262_144
DOT = b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Yield blocks of the message with leading dots doubled; the last block holds the final dot.

    No other octet is changed, but a message whose last line has no end gets one (RFC 5321 4.1.1.4). Blocks without a
    dot are not copied; of the others one is copied at a time.
    """
    before = b"\r\n"  # the last two octets before a block, because its first octet may be a leading dot
    waiting: bytes | memoryview = b""
    for chunk, start, end in _blocks(chunks):
        if waiting:
            yield waiting
        if chunk.find(b".", start, end) < 0:
            waiting = memoryview(chunk)[start:end]
        else:
            waiting = (before + chunk[start:end]).replace(b"\r\n.", b"\r\n..")[len(before) :]
        before = (before + chunk[max(start, end - 2) : end])[-2:]
    yield bytes(waiting) + (b"" if before == b"\r\n" else b"\r\n") + DOT


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield blocks: a chunk, and the offsets at which the block begins and ends in it."""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK_OCTETS):
            yield chunk, start, min(start + BLOCK_OCTETS, len(chunk))


def stuffed_whole(chunks: Iterable[bytes]) -> bytes:
    """Return the octets of `stuffed` in one piece, for a small message."""
    octets = b"".join(chunks)
    if octets.find(b"\r\n.") >= 0 or octets[:1] == b".":
        octets = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
    return octets + (DOT if octets.endswith(b"\r\n") or not octets else b"\r\n" + DOT)
