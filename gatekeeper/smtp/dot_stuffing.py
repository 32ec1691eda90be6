"""A message as the octets that go between DATA and the dot (RFC 5321 4.5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

BLOCK_OCTETS = 262_144
DOT = b".\r\n"


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Yield blocks of the message with its leading dots doubled, the dot that ends it within the last block.

    The octets are otherwise those that came in; a message whose last line has no end gets one (RFC 5321 4.1.1.4).
    Blocks without a dot are not copied, of others one at a time.
    """
    before = b"\r\n"  # the two octets before a block: a leading dot may be the first octet of one
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
    """Chunks with where a block begins in them and ends."""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK_OCTETS):
            yield chunk, start, min(start + BLOCK_OCTETS, len(chunk))


def stuffed_whole(chunks: Iterable[bytes]) -> bytes:
    """As `stuffed`, all in one piece."""
    octets = b"".join(chunks)
    if octets.find(b"\r\n.") >= 0 or octets[:1] == b".":
        octets = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
    return octets + (DOT if octets.endswith(b"\r\n") or not octets else b"\r\n" + DOT)
