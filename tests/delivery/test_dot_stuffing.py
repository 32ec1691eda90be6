"""Dot-stuffing: whatever goes in comes out at the other end, and nothing else."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.smtp import dot_stuffing
from gatekeeper.smtp.dot_stuffing import stuffed, stuffed_whole
from tests.peers.sink import Sink

PIECES = st.sampled_from(
    [b"\r\n", b".", b"..", b".\r\n", b"\r\n.\r\n", b"\r", b"\n", b"a", b"\xff\x00", b"MAIL FROM:<x>\r\n", b"x" * 998]
)
CONTENTS = st.lists(PIECES | st.binary(max_size=5), max_size=30).map(b"".join)


def taken(wire):
    """What a server makes of it (RFC 5321 4.5.2), line by line; the dot must be the last line and the only one."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""] and b"." not in lines[:-2]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-2])


def ended(content):
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


@given(CONTENTS, st.lists(st.integers(0, 40), max_size=8))
@example(b"", [])
@example(b".", [])
@example(b"\r\n.\r\n", [1, 1, 1, 1])
def test_a_message_comes_out_as_it_went_in_however_it_is_cut_up(content, cuts):
    chunks, rest = [], content
    for cut in cuts:
        chunks, rest = [*chunks, rest[:cut]], rest[cut:]
    assert taken(b"".join(stuffed([*chunks, rest]))) == ended(content)
    assert stuffed_whole([*chunks, rest]) == b"".join(stuffed([*chunks, rest]))


@pytest.mark.parametrize("octets", [1, 2, 3, 5])
def test_a_block_may_end_anywhere(monkeypatch, octets):
    monkeypatch.setattr(dot_stuffing, "BLOCK_OCTETS", octets)
    content = b".a\r\n..\r\n\r\n.b\r\n.\r\n\r\n...\r\nend\r\n"
    assert taken(b"".join(stuffed([content]))) == content


def test_no_block_is_much_larger_than_the_limit():
    sizes = [len(block) for block in stuffed([b"\r\n." * 1_000_000])]
    assert max(sizes) <= 2 * dot_stuffing.BLOCK_OCTETS and len(sizes) >= 10


async def test_contents_over_the_wire(hop_to):
    contents = [
        b"",
        b".",
        b"no line end",
        b".\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n",
        b"Subject: 8 bit\r\n\r\n" + bytes(octet for octet in range(256) if octet not in (0, 10, 13)) + b"\r\n",
        b"Subject: long\r\n\r\n" + b"x" * 3_000_000 + b"\r\n." + b"y" * 300_000,
        (b"x" * (dot_stuffing.BLOCK_OCTETS - 2) + b"\r\n.") * 3 + b"\r\n",
    ]
    async with Sink() as sink:
        hop = hop_to(sink)
        for content in contents:
            assert (await hop.send(content=content))[1].ok
            assert (await hop.send(content=[content[:7], content[7:]]))[1].ok
        assert [mail.content == ended(content) for mail, content in zip(sink.mails[::2], contents, strict=True)]
        for number, content in enumerate(contents):
            assert sink.mails[2 * number].content == sink.mails[2 * number + 1].content == ended(content)
        assert sink.connections == 1
