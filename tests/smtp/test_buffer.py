"""Pieces: what was added comes out, in order, and small ones cost no more than large ones."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.smtp.buffer import MemoryBuffer
from gatekeeper.smtp.data import ContentReader

SIZES = st.one_of(st.integers(0, 40), st.sampled_from([4_095, 4_096, 65_535, 65_536, 70_000]))


@given(st.lists(SIZES, max_size=12))
def test_what_was_added_is_taken_once(sizes: list[int]) -> None:
    added = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    pieces = MemoryBuffer()
    for each in added:
        pieces.add(each)
    assert len(pieces) == sum(sizes)
    assert pieces.take() == b"".join(added)
    assert (len(pieces), pieces.take()) == (0, b"")


def test_a_large_piece_is_not_copied() -> None:
    pieces, large = MemoryBuffer(), b"x" * 100_000
    pieces.add(large)
    assert pieces.take() is large


def test_a_client_that_sends_two_octets_at_a_time_takes_no_more_memory_than_another() -> None:
    reader, octets = ContentReader(1 << 30), 200_000
    tracemalloc.start()
    for _ in range(octets // 2):
        reader.feed(b"ab")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.feed(b"\r\n.\r\n") == b""
    assert reader.content() == b"ab" * (octets // 2) + b"\r\n"
    assert kept < 3 * octets
