"""What is put before released mail and taken out of it."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.release_token import token_field, token_of, without_hidden_fields

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
        b"X-Gatekeeper-Released: a b\r\n\r\n",
        b"X-Gatekeeper-Released: " + b"a" * 65 + b"\r\n\r\n",
        b"X-Gatekeeper-Released:\r\n\r\n",
    ],
)
def test_what_is_no_token(content):
    assert token_of(content) is None


@given(
    st.lists(st.sampled_from(FIELDS + KEPT), max_size=8),
    st.sampled_from(["\r\nBcc: body\r\n", "\r\n", ""]),
    st.integers(1, 40),
)
def test_hidden_fields_are_taken_out_and_not_another_octet(fields, body, size):
    content = ("".join(fields) + body).encode()
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    expected = "".join(field for field in fields if field not in FIELDS) + body
    assert b"".join(without_hidden_fields(chunks)) == expected.encode()


def test_a_header_of_many_chunks_takes_time_in_proportion_to_its_size():
    def seconds(octets: int) -> float:
        chunks = [b"X-A: " + b"x" * 1017 + b"\r\n"] * (octets // 1024)
        began = process_time()
        without_hidden_fields(chunks)
        return process_time() - began

    small, large = (min(seconds(octets) for _ in range(3)) for octets in (500_000, 8_000_000))
    assert large < 64 * small  # 16 times the size; 256 times where each chunk is copied again and again
