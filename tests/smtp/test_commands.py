"""Commands cut out of octets: in any cut, without losing step."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.model import Recipient
from gatekeeper.smtp.commands import BARE, PARAMETERS_LIMIT, TOO_LONG, CommandReader
from gatekeeper.smtp.parameters import ArgumentError, MailArgument, parse_mail, parse_rcpt
from gatekeeper.smtp.replies import Reply

MAIL = b"MAIL FROM:<a@doa.example.gov>\r\n"


def commands(*blocks: bytes) -> list[bytes | MailArgument | list[str] | Reply]:
    """What is taken, block by block."""
    reader = CommandReader()
    taken: list[bytes | MailArgument | list[str] | Reply] = []
    for block in blocks:
        reader.feed(block)
        while (command := reader.take()) is not None:
            taken.append(command)
    return taken


def test_lines_come_without_their_ends() -> None:
    assert commands(b"NOOP\r\nEHLO x\r\nQU", b"IT\r\n") == [b"NOOP", b"EHLO x", b"QUIT"]


@given(st.lists(st.sampled_from([b"NOOP", b"RSET", b"", b"MAIL FROM:<>"])), st.lists(st.integers(0, 60)))
def test_any_cut_gives_the_same_commands(lines: list[bytes], at: list[int]) -> None:
    stream = b"".join(line + b"\r\n" for line in lines)
    places = sorted({min(place, len(stream)) for place in at} | {0, len(stream)})
    assert commands(*(stream[a:b] for a, b in itertools.pairwise(places))) == lines


@pytest.mark.parametrize("bad", [b"NO\rOP\r\n", b"NOOP\nNOOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n", b"\nNOOP\r\n"])
def test_a_bad_line_is_one_line_up_to_its_crlf(bad: bytes) -> None:
    assert commands(bad + b"QUIT\r\n") == [BARE, b"QUIT"]


def test_nothing_behind_a_bare_lf_is_run_though_the_crlf_comes_later() -> None:
    assert commands(b"NOOP\nMAIL FROM:<evil@b.c>", b" SIZE=1\r\nQUIT\r\n") == [BARE, b"QUIT"]


def test_a_line_by_hand_with_lf_is_refused_at_once_and_over() -> None:
    assert commands(b"NOOP\n", b"QUIT\r\n") == [BARE, b"QUIT"]


def test_a_long_line_is_refused_once_and_step_is_kept() -> None:
    assert commands(b"NOOP " + b"x" * 600 + b"\r\nQUIT\r\n") == [TOO_LONG, b"QUIT"]
    assert commands(b"NOOP " + b"x" * 5000, b"x" * 9000, b"y\r", b"\nQUIT\r\n") == [TOO_LONG, b"QUIT"]


def test_commands_with_parameters_may_be_longer() -> None:
    fits = b"RCPT TO:<a@b.c> ORCPT=" + b"x" * 3000
    assert commands(fits + b"\r\n") == [fits]
    assert commands(b"MAIL " + b"x" * PARAMETERS_LIMIT + b"\r\n") == [TOO_LONG]


def test_a_run_of_recipients_is_taken_whole_and_ends_at_what_is_unusual() -> None:
    reader = CommandReader()
    reader.feed(b'RCPT TO:<a@b.c>\r\nrcpt to:<D+e@F-g.example>\r\nRCPT TO:<"q q"@b.c>\r\nRCPT TO:<h@b.c>\r\nRC')
    assert reader.take() == ["a@b.c", "D+e@F-g.example"]
    assert reader.take() == b'RCPT TO:<"q q"@b.c>'
    assert reader.take() == ["h@b.c"]
    assert reader.take() is None
    assert reader.pending


@given(
    st.integers(1, 400), st.sampled_from([b"DATA\r\n", b"data\r\n", b"DATA", b"", b"DATA\r\nx", b"RCPT TO:<a@b>\r\n"])
)
def test_a_run_is_taken_whatever_it_ends_with(recipients: int, end: bytes) -> None:
    """A pattern that went back over all recipients would not come to an end here."""
    names = [f"user{number}@mail.example.gov" for number in range(recipients)]
    taken = commands(MAIL + b"".join(b"RCPT TO:<%b>\r\n" % name.encode() for name in names) + end)
    assert taken[:2] == [MailArgument("a@doa.example.gov"), names]
    assert taken[2:] == end.splitlines()[: end.count(b"\r\n")]


def test_a_run_within_the_rest_of_a_bad_line_is_not_taken() -> None:
    reader = CommandReader()
    reader.feed(b"NOOP\nx")
    assert reader.take() == BARE
    reader.feed(b"y\nRCPT TO:<a@b.c>\r\n")
    assert reader.take() is None


ODD = st.sampled_from(["a", "Z", "9", "-", ".", "_", "+", "@", " ", '"', "<", ">", "%", "\xe4", "\t", "x" * 70])
ADDRESSES = st.from_regex(r"\A[a-z0-9.+_-]{1,8}@[a-z0-9-]{1,8}\.[a-z0-9.-]{1,8}\Z") | st.lists(ODD, max_size=9).map(
    "".join
)


@given(ADDRESSES)
def test_a_plain_mail_or_recipient_is_what_the_parser_takes(address: str) -> None:
    """The first branch of the reader beside the whole parser, over addresses good and bad."""
    mail, recipient = f"FROM:<{address}>", f"TO:<{address}>"
    for taken in commands(f"MAIL {mail}\r\nRCPT {recipient}\r\n".encode()):
        try:
            if isinstance(taken, MailArgument):
                assert taken == parse_mail(mail, {}, 0)
            elif isinstance(taken, list):
                assert [Recipient(each) for each in taken] == [parse_rcpt(recipient, {}, False)]
        except ArgumentError as error:
            raise AssertionError(f"taken, but refused: {error.reply}") from error
