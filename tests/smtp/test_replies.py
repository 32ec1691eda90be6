"""Replies: ours are always one safe line, a next hop's are read however they are cut up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.smtp.replies import ProtocolError, Reply, ReplyParser, reply

PRINTABLE = re.compile(rb"[ -~]*\r\n")


def test_kinds_of_reply():
    assert Reply(250, ("2.1.5 fine",)).ok
    assert Reply(451, ("4.4.1 later",)).transient
    assert Reply(550, ("5.7.1 no", "never")).permanent
    assert Reply(550, ("5.7.1 no", "never")).text == "5.7.1 no never"


@pytest.mark.parametrize(
    ("text", "enhanced"),
    [("5.7.1 no", "5.7.1"), ("2.0.0", "2.0.0"), ("no 5.7.1", None), ("5.7.1x", None), ("3.1.1 x", None), ("", None)],
)
def test_enhanced_code_is_read_of_the_first_line(text, enhanced):
    assert Reply(550, (text,)).enhanced == enhanced


@pytest.mark.parametrize(
    ("text", "is_beyond"),
    [
        ("452 4.5.3 too many", True),
        ("451 4.5.3 too many", True),
        ("552 5.5.3 too many", True),
        ("550 5.5.3 too many", True),
        ("452 too many", True),
        ("552 too many", True),
        ("452 4.3.1 no room", False),
        ("552 5.2.2 mailbox full", False),
        ("450 4.2.1 greylisted", False),
        ("550 no", False),
        ("250 2.1.5 fine", False),
    ],
)
def test_a_recipient_too_many(text, is_beyond):
    assert Reply(int(text[:3]), (text[4:],)).is_beyond_limit is is_beyond


def test_multi_line_form():
    assert Reply(250, ("host", "SIZE 10", "DSN")).encode() == b"250-host\r\n250-SIZE 10\r\n250 DSN\r\n"


@given(st.integers(200, 599), st.lists(st.text(max_size=700), min_size=1, max_size=5))
def test_no_reply_smuggles_a_line(code, lines):
    wire = Reply(code, tuple(lines)).encode()
    pieces = wire.splitlines(keepends=True)
    assert len(pieces) == len(lines)
    assert all(PRINTABLE.fullmatch(piece) and len(piece) <= 512 for piece in pieces)


@given(
    st.sampled_from([250, 451, 550]), st.text(max_size=1500), st.sampled_from([None, "5.7.1"]), st.text(max_size=200)
)
def test_our_reply_is_one_ascii_line_of_512_octets(code, text, enhanced, suffix):
    made = reply(code, text, enhanced, suffix)
    wire = made.encode()
    assert PRINTABLE.fullmatch(wire) and len(wire) <= 512
    assert wire == f"{code} {made.lines[0]}\r\n".encode("ascii")
    if enhanced:
        assert made.enhanced == enhanced


def test_the_tail_stays_whole_and_the_middle_is_cut_at_a_word():
    made = reply(550, "word " * 300, "5.7.1", " Help: desk@example.gov (approval, subject)")
    assert made.lines[0].endswith("word... Help: desk@example.gov (approval, subject)")
    assert 500 <= len(made.encode()) <= 512


def test_a_text_that_fits_is_not_cut():
    text = "x" * (512 - len("250 \r\n"))
    assert reply(250, text).lines == (text,)
    assert reply(250, text + "x").lines[0].endswith("...")


def test_other_alphabets():
    assert reply(550, "Zürich – “café” … 東京", "5.7.1").lines == ('5.7.1 Zurich - "cafe" ... ??',)


def read_in(data, sizes):
    parser, replies = ReplyParser(), []
    while data:
        size = next(sizes, len(data)) or 1
        replies += parser.feed(data[:size])
        data = data[size:]
    assert parser.idle
    return replies


REPLIES = st.builds(
    Reply,
    st.integers(200, 599),
    st.lists(st.from_regex(r"[ -~]{0,80}", fullmatch=True), min_size=1, max_size=5).map(tuple),
)


@given(st.lists(REPLIES, max_size=8), st.lists(st.integers(1, 40), max_size=60))
def test_replies_are_read_however_they_are_cut_up(replies, sizes):
    data = b"".join(each.encode() for each in replies)
    assert read_in(data, iter(sizes)) == replies


def test_a_bare_code_and_a_bare_line_feed_are_taken():
    assert ReplyParser().feed(b"250\r\n354 go\n") == [Reply(250, ("",)), Reply(354, ("go",))]


def test_what_is_not_utf8_is_taken():
    assert ReplyParser().feed(b"250 caf\xe9\x00\r\n")[0].encode() == b"250 caf? \r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"99 short\r\n",
        b"150 early\r\n",
        b"600 late\r\n",
        b"250_mark\r\n",
        b"250-one\r\n251 other\r\n",
        b"250 " + b"x" * 3000,
        b"250-x\r\n" * 1000,
        b"\r\n",
    ],
)
def test_what_is_no_reply_is_an_error(data):
    with pytest.raises(ProtocolError, match="expected"):
        ReplyParser().feed(data)


def test_replies_before_an_error_are_not_lost():
    parser = ReplyParser()
    assert parser.feed(b"250 one\r\nrubbish\r\n") == [Reply(250, ("one",))]
    with pytest.raises(ProtocolError, match="rubbish"):
        parser.feed(b"")


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_octets_are_replies_or_a_protocol_error(pieces):
    parser = ReplyParser()
    try:
        replies = [each for piece in pieces for each in parser.feed(piece)]
    except ProtocolError:
        return
    assert all(200 <= each.code < 600 and each.lines for each in replies)
