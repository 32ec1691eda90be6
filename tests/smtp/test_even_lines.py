"""Lines of one length are looked at another way, which must find the same."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.content_digest import digests
from gatekeeper.message.headers import Header
from gatekeeper.smtp.data import has_valid_line_ends

ENDS = st.sampled_from([b"", b"\r", b"\r\n", b"abc", b"abc\r\n", b"\n", b"\0"])
CHANGES = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from([b"\r", b"\n", b"\0", b"x", b"\r\n", b"\n\r"])), max_size=3
)


def changed(line: int, ends: tuple[bytes, bytes], changes: list[tuple[int, bytes]]) -> bytes:
    """Some 20 to 40 KB of lines of so many octets, with a few octets put in the place of others."""
    body = bytearray(ends[0] + (b"A" * line + b"\r\n") * (20_000 // (line + 2) + 20) + ends[1])
    for at, octets in changes:
        body[at % len(body) : at % len(body) + len(octets)] = octets
    return bytes(body)


def is_sound(body: bytes) -> bool:
    """What `sound` promises, octet by octet."""
    padded = b" " + body + b" "
    return b"\0" not in body and all((a == 13) == (b == 10) for a, b in pairwise(padded))


@given(st.sampled_from([0, 1, 2, 60, 76]), st.tuples(ENDS, ENDS), CHANGES)
def test_a_body_of_even_lines_is_sound_where_it_is(
    line: int, ends: tuple[bytes, bytes], changes: list[tuple[int, bytes]]
) -> None:
    body = changed(line, ends, changes)
    assert has_valid_line_ends(body) == is_sound(body)


@given(st.sampled_from([0, 1, 2, 60, 76]), st.tuples(ENDS, ENDS), CHANGES)
def test_its_digest_is_that_of_its_lines(
    line: int, ends: tuple[bytes, bytes], changes: list[tuple[int, bytes]]
) -> None:
    """Put behind 70 KB of lines of all lengths, the same octets lie otherwise in the pieces that are looked at."""
    body = changed(line, ends, changes)
    lines = body.rstrip(b"\r\n").replace(b"\r\n", b"\n")
    found = digests(body, Header(), 0)
    assert (found.content, found.bare_cr) == (sha256(b"\n" + lines).hexdigest(), b"\r" in lines)
