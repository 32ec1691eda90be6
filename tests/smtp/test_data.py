"""Content off the wire against a naive splitter, in any cut."""

from __future__ import annotations

import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.smtp.data import ContentReader, Fault

LIMIT = 1_000_000
PIECES = [b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"..", b"\r\n.\r\n", b"\r\n.", b"line of text", b"\xff"]
streams = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=12)


def read(stream: bytes, at: list[int], limit: int = LIMIT) -> tuple[ContentReader, bytes | None]:
    """Feed a stream cut at these places; the reader, and what it left behind the end (None: no end)."""
    reader = ContentReader(limit)
    places = sorted({min(place, len(stream)) for place in at} | {0, len(stream)})
    blocks = [stream[start:end] for start, end in itertools.pairwise(places)]
    for number, block in enumerate(blocks):
        rest = reader.feed(block)
        if rest is not None:
            return reader, rest + b"".join(blocks[number + 1 :])
    return reader, None


def naive(stream: bytes) -> tuple[bytes, bytes] | None:
    """RFC 5321 4.5.2 to the letter: lines end with CRLF, one of a lone dot ends the message."""
    lines, rest = [], stream
    while (end := rest.find(b"\r\n")) >= 0:
        line, rest = rest[: end + 2], rest[end + 2 :]
        if line == b".\r\n":
            return b"".join(lines), rest
        lines.append(line[1:] if line.startswith(b".") else line)
    return None


def sound(content: bytes) -> bool:
    return not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content)


@given(streams, streams, cuts)
def test_content_and_end_are_those_of_a_naive_splitter(before: bytes, after: bytes, at: list[int]) -> None:
    stream = before + b"\r\n.\r\n" + after
    expected = naive(stream)
    assert expected is not None
    content, behind = expected
    reader, rest = read(stream, at)
    assert rest == behind
    consumed = stream[: len(stream) - len(behind)]
    assert (reader.fault is None) == sound(consumed)
    if reader.fault is None:
        assert reader.content() == content
        assert reader.size == len(content)


@given(streams, cuts)
def test_without_an_end_none_is_found(stream: bytes, at: list[int]) -> None:
    expected = naive(stream)
    _, rest = read(stream, at)
    assert rest == (None if expected is None else expected[1])


@given(st.lists(st.sampled_from([b"", b".", b"..", b"text", b".text", b"\xe9"]), max_size=20), cuts)
def test_stuffing_is_undone(lines: list[bytes], at: list[int]) -> None:
    stuffed = b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)
    reader, rest = read(stuffed + b".\r\n", at)
    assert rest == b""
    assert reader.content() == b"".join(line + b"\r\n" for line in lines)


@pytest.mark.parametrize("size", [9, 10, 11])
def test_the_limit_is_of_the_content_without_stuffing(size: int) -> None:
    content = b"." + b"x" * (size - 3) + b"\r\n"
    reader, rest = read(b"." + content + b".\r\nQUIT\r\n", [], limit=10)
    assert rest == b"QUIT\r\n"
    assert reader.fault == (Fault.SIZE if size > 10 else None)


def test_a_large_message_in_blocks_is_whole() -> None:
    generator = random.Random(7)
    content = b"".join(b"." * generator.randrange(3) + b"x" * generator.randrange(3000) + b"\r\n" for _ in range(500))
    stuffed = re.sub(rb"(?m)^\.", b"..", content)
    reader, rest = read(stuffed + b".\r\n", [generator.randrange(len(stuffed)) for _ in range(300)])
    assert rest == b""
    assert reader.content() == content


@pytest.mark.soak
def test_many_random_streams() -> None:
    generator = random.Random(11)
    for _ in range(200_000):
        stream = b"".join(generator.choices(PIECES, k=generator.randrange(30)))
        _, rest = read(stream, [generator.randrange(60) for _ in range(6)])
        expected = naive(stream)
        assert rest == (None if expected is None else expected[1]), stream
