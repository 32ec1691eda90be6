"""Whole headers made to hurt: each field that is read, with long runs of what its grammar cares about."""

import pytest

from gatekeeper.message import read_facts, read_likeness
from gatekeeper.message.hide_recipients import hide_recipients, shown_fields
from gatekeeper.message.own_token import HIDDEN_FIELDS, token_of
from gatekeeper.message.remove_fields import places_of, without_fields
from gatekeeper.smtp.received import count_received, is_looping
from tests.linear.growth import outgrows

ADDRESSES = ("", "a@b", "a <a@b", '"a', "(a", "g: a@b")
PARAMETERS = ("", "text/plain; x=a", 'a; filename="', "multipart/mixed; boundary=b", "a; filename*0*=utf-8''a")
TEXT = ("", "a", "=?utf-8?q?")
IDENTIFIERS = ("", "<a@b", "(a")
FIELDS = {
    **dict.fromkeys(("From", "Sender", "Resent-From", "To", "Cc", "Bcc"), ADDRESSES),
    **dict.fromkeys(("Content-Type", "Content-Disposition"), PARAMETERS),
    **dict.fromkeys(("Subject",), TEXT),
    **dict.fromkeys(("Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"), IDENTIFIERS),
    **dict.fromkeys(("In-Reply-To", "References", "Auto-Submitted", "Content-Transfer-Encoding"), IDENTIFIERS),
    **dict.fromkeys(("Content-ID", "Received", "Return-Path", "X-Gatekeeper-Released"), IDENTIFIERS),
}
AGAIN = (" ", "\t", "\r\n ", '"', "(", ")", "()", "( ", "(a)", "<", ">", "<>", "[", "]", "\\", '\\"', '"\\', ";", "; ")
AGAIN += ("=", "@", ",", ":", "::", ".", "a", "a ", "a@b,", "a@b ", "@a", 'a"b"', "=?", "?=", "=?a?q?")
AGAIN += ("=?utf-8?b?YQ==?= ", "a=b;", 'a="b" ', "x*0=a;", "%41", "'", "é", "é\u0323\u0301", "\u0301\u0323", "\0")
AGAIN += ("re:", "[a]", "(1/2)", "#1")


def read_all(content: bytes) -> None:
    """Everything that is read of a header between the dot and the verdict, and as it leaves."""
    read_facts(content)
    read_likeness(content)
    token_of(content)
    is_looping(content)
    count_received(content)
    without_fields([content], HIDDEN_FIELDS)
    places_of(content, HIDDEN_FIELDS)
    hide_recipients([content])
    list(shown_fields(content))


def message(field: str, value: str) -> bytes:
    others = {"From": "a@b", "Subject": "s"}
    others.pop(field, None)
    head = "".join(f"{name}: {text}\r\n" for name, text in others.items())
    return f"{head}{field}: {value}\r\n\r\ntext\r\n".encode()


@pytest.mark.parametrize("field", FIELDS)
def test_time_is_linear_in_every_field(field):
    slow = []
    for first in FIELDS[field]:
        for again in AGAIN:

            def make(size, first=first, again=again):
                content = message(field, f"{first}{again * (size // len(again))}b")
                return lambda: read_all(content)

            if found := outgrows(make):
                slow.append(f"{first!r} + {again!r} * n: {found}")
    assert not slow


@pytest.mark.parametrize("field", [*FIELDS, "X-Other"])
def test_time_is_linear_in_many_fields_of_a_name(field):
    def make(size):
        content = (f"{field}: a@b\r\n" * (size // 16)).encode() + b"\r\ntext\r\n"
        return lambda: read_all(content)

    assert not outgrows(make)
