"""The one thing that changes a message: To and Cc are hidden, and not another octet (C9)."""

from __future__ import annotations

from email import message_from_bytes
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.hide_recipients import hide_recipients, shown_fields

HEAD = b"From: a@example.gov\r\n"


def hidden(content: bytes, *cuts: int) -> bytes:
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return b"".join(hide_recipients([content[a:b] for a, b in pairwise(places)]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"To: b@example.gov,\r\n c@example.gov\r\nX: 1\r\n", b"To: undisclosed-recipients:;\r\nX: 1\r\n"),
        (b"CC: b@example.gov\r\nX: 1\r\nto : c@example.gov\r\n", b"To: undisclosed-recipients:;\r\nX: 1\r\n"),
        (b"To: a@x\r\nTo: b@x\r\nCc: c@x\r\nCc:\r\n\td@x\r\n", b"To: undisclosed-recipients:;\r\n"),
        (b"X-To: a@x\r\nTomorrow: 1\r\n", b"X-To: a@x\r\nTomorrow: 1\r\n"),
        (b"", b""),
    ],
)
def test_to_becomes_undisclosed_recipients_and_cc_goes(before, after):
    body = b"\r\nTo: stays@example.gov\r\nCc: stays\r\n"
    assert hidden(HEAD + before + body) == HEAD + after + body
    assert hidden(HEAD + before) == HEAD + after  # without a body
    assert hidden(body) == body  # without a header


lines = st.sampled_from(
    [
        b"To: a@x\r\n",
        b"cc: b@x,\r\n c@x\r\n",
        b"Subject: To: x\r\n",
        b"X: y\r\n\tCc: z\r\n",
        b"TO:\r\n",
    ]
)


@given(st.lists(lines).map(b"".join), st.binary(max_size=40), st.lists(st.integers(0, 500), max_size=3))
def test_all_else_stays_as_it_is_however_the_message_is_cut(header, body, cuts):
    content = header + b"\r\n" + body
    once = hidden(content, *cuts)
    assert once.endswith(b"\r\n" + body) and hidden(once) == once
    before, after = message_from_bytes(content), message_from_bytes(once)
    others = [(name, value) for name, value in before.raw_items() if name.lower() not in ("to", "cc")]
    assert [(name, value) for name, value in after.raw_items() if name.lower() not in ("to", "cc")] == others
    shown = [name for name, _ in before.raw_items() if name.lower() in ("to", "cc")]
    assert after.get_all("To", []) == (["undisclosed-recipients:;"] if shown else []) and not after.get_all("Cc")


def test_a_mail_server_takes_fields_out_from_the_last_of_a_name():
    content = b"To: a\r\nCc: b\r\nTO: c\r\nX: d\r\n\r\nTo: e\r\n"
    assert list(shown_fields(content)) == [(b"To", 2), (b"To", 1), (b"Cc", 1)]
