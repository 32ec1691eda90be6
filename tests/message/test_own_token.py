"""The token of mail that is sent on, and the fields that are taken out of it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.own_token import (
    HIDDEN_FIELDS,
    MOST_RECIPIENTS,
    VALID_SECONDS,
    SentMail,
    Turn,
    issue_token,
    own_fields,
    read_token,
    token_field,
    token_of,
)
from gatekeeper.message.remove_fields import places_of, without_fields

FIELDS = ["Bcc: x@example.gov\r\n", "bcc:y,\r\n z\r\n\tw\r\n", "Return-Path : <a@b>\r\n", "RESENT-BCC:\r\n"]
KEPT = ["Subject: Bcc: not one\r\n", "X-Bcc: x\r\n", "To: a\r\n Bcc: folded\r\n", "Bccc: x\r\n", "no colon\r\n"]


def test_a_token_is_found_where_it_was_put():
    assert token_of(token_field("a-token_1") + b"Received: x\r\n\r\nhello\r\n") == "a-token_1"
    assert token_of(b"Received: x\r\nX-Gatekeeper-Released: b\r\n\r\n") == "b"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: x\r\n\r\nX-Gatekeeper-Released: a\r\n",
        b"Subject: X-Gatekeeper-Released: a\r\n\r\n",
        b"X-Gatekeeper-Released: a;b\r\n\r\n",
        b"X-Gatekeeper-Released:\r\n\r\n",
    ],
)
def test_what_is_no_token(content):
    assert token_of(content) is None


SECRET, OTHER = b"k" * 32, b"o" * 32
DIGEST = "c0ffee" * 10
FIRST = Turn()
PEOPLE = tuple(f"user{number}@example.gov" for number in range(300))


def token(addresses=PEOPLE, turn=FIRST, nonce=b"12345678", secret=SECRET):
    return issue_token(secret, SentMail(DIGEST, tuple(addresses)), turn, 1000.0, nonce)


def read(text, addresses=PEOPLE, digest=DIGEST, now=1000.0, secret=SECRET):
    return read_token(secret, text, SentMail(digest, tuple(addresses)), now)


@pytest.mark.parametrize("turn", [Turn(), Turn(1), Turn(7, 123_456_789)])
def test_a_token_is_good_for_its_mail_however_it_is_cut(turn):
    given = token_of(token_field(token(turn=turn)) + b"Received: x\r\n\r\nhello\r\n")
    assert read(given) == turn
    assert read(given, PEOPLE[:1]) == read(given, map(str.upper, PEOPLE[7:70])) == turn
    assert read(given, now=1000.0 + VALID_SECONDS) == turn


@pytest.mark.parametrize(
    "otherwise",
    [
        {"digest": "decaf"},
        {"addresses": [*PEOPLE[:10], "stranger@example.org"]},
        {"addresses": []},
        {"secret": OTHER},
        {"now": 1001.0 + VALID_SECONDS},
    ],
    ids=["content", "one more recipient", "nobody", "key", "time"],
)
def test_it_is_good_for_nothing_else(otherwise):
    assert read(token(), **otherwise) is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_octet_of_it_can_be_changed(at, change):
    given_token = token(PEOPLE[:5])
    octets = bytearray(urlsafe_b64decode(given_token + "=" * (-len(given_token) % 4)))
    octets[at % len(octets)] ^= change
    assert read(urlsafe_b64encode(octets).decode().rstrip("="), PEOPLE[:5]) is None


@given(st.text("abcXYZ019-_=", max_size=200))
def test_anything_else_is_no_token(text):
    assert read(text) is None


def test_it_does_not_tell_how_many_or_who():
    assert len({len(token(PEOPLE[:number])) for number in range(1, 9)}) == 1
    assert len(token(PEOPLE[:9])) > len(token(PEOPLE[:8]))
    assert token(PEOPLE[:1], nonce=b"a" * 8) != token(PEOPLE[:1], nonce=b"b" * 8)
    assert token(PEOPLE) == token(reversed(PEOPLE)), "the order says nothing"


def test_mail_to_too_many_has_none():
    everyone = [f"{number}@example.gov" for number in range(MOST_RECIPIENTS + 1)]
    assert token(everyone) == "" and read(token(everyone[1:]), everyone[1:]) == Turn()


def test_its_lines_are_short():
    lines = token_field(token()).splitlines()
    assert len(lines) > 10 and max(map(len, lines)) < 100


OWN = own_fields("X-Gate-Mark")
FORGED = [
    b"X-Gate-Mark: a\r\n",
    b"x-gate-mark : b\r\n c\r\n",
    b"X-GATE-MARK:\r\n\td\r\n",
    token_field("a" * 500),
]
OTHERS = [b"X-Gate-Marks: a\r\n", b"Subject: x\r\n X-Gate-Mark: a\r\n", b"no colon\r\n"]


@given(st.lists(st.sampled_from(FORGED + OTHERS), max_size=8), st.integers(1, 60))
def test_own_fields_that_come_in_are_taken_out_by_smtp_and_by_milter_alike(fields, size):
    content = b"".join(fields) + b"\r\nX-Gate-Mark: in the body\r\n"
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    expected = b"".join(field for field in fields if field in OTHERS) + b"\r\nX-Gate-Mark: in the body\r\n"
    assert b"".join(without_fields(chunks, OWN)) == expected
    places = places_of(content, OWN)
    assert len(places) == len([field for field in fields if field in FORGED])
    for name in OWN:
        numbers = [number for each, number in places if each == name]
        assert numbers == list(range(len(numbers), 0, -1)), "the last one first"


def test_without_a_mark_nothing_is_taken_out():
    assert own_fields("") == ()
    assert without_fields([b"X-Gate-Mark: a\r\n\r\n"], ()) == [b"X-Gate-Mark: a\r\n\r\n"]


@given(
    st.lists(st.sampled_from(FIELDS + KEPT), max_size=8),
    st.sampled_from(["\r\nBcc: body\r\n", "\r\n", ""]),
    st.integers(1, 40),
)
def test_hidden_fields_are_taken_out_and_not_another_octet(fields, body, size):
    content = ("".join(fields) + body).encode()
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    expected = "".join(field for field in fields if field not in FIELDS) + body
    assert b"".join(without_fields(chunks, HIDDEN_FIELDS)) == expected.encode()


def test_a_header_of_many_chunks_takes_time_in_proportion_to_its_size():
    def seconds(octets: int) -> float:
        chunks = [b"X-A: " + b"x" * 1017 + b"\r\n"] * (octets // 1024)
        began = process_time()
        without_fields(chunks, HIDDEN_FIELDS)
        return process_time() - began

    small, large = (min(seconds(octets) for _ in range(3)) for octets in (500_000, 8_000_000))
    assert large < 64 * small  # 16 times the size; 256 times where each chunk is copied again and again
