"""The trace field, and counting those of a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.model import Client, Transaction
from gatekeeper.smtp.received import count_received, received_field

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
CLIENT = Client("192.0.2.1", "mail.example.gov", "client.example.gov", 4000, "ESMTPS")
TRANSACTION = Transaction("smtp", CLIENT, "a@example.gov", (), b"")


def field_of(client: Client, *parameters: str) -> bytes:
    return received_field(replace(TRANSACTION, client=client, parameters=parameters), "gate.example.gov", NOW, "4XyZ")


def test_a_field_as_rfc_5321_has_it() -> None:
    assert field_of(CLIENT) == (
        b"Received: from client.example.gov (mail.example.gov [192.0.2.1])\r\n"
        b"\tby gate.example.gov with ESMTPS id 4XyZ;\r\n"
        b"\tSun, 22 Nov 2026 10:00:00 +0000\r\n"
    )


def test_ipv6_utf8_and_what_is_not_known() -> None:
    assert b"from unknown (unknown [IPv6:2001:db8::1])" in field_of(Client("2001:db8::1"))
    assert b"with UTF8SMTPS id" in field_of(CLIENT, "SMTPUTF8")


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_a_client_says_leaves_its_place(helo: str, name: str) -> None:
    field = field_of(Client("192.0.2.1", name, helo))
    assert field.isascii()
    assert field.count(b"\r\n") == 3
    assert b"\0" not in field
    message = message_from_bytes(field + b"\r\n", policy=SMTP_POLICY)
    assert message.keys() == ["Received"]
    assert field.count(b"(") == 1


def test_received_fields_of_the_header_are_counted() -> None:
    header = b"Received: a\r\n b\r\nreceived : c\r\nX-Received: d\r\nSubject: Received: e\r\n"
    assert count_received(header + b"\r\nReceived: body\r\n\r\nReceived: body\r\n") == 2
    assert count_received(header) == 2
    assert count_received(b"\r\nReceived: body\r\n\r\n") == 0
    assert count_received(b"Received: x\r\n" * 60 + b"\r\n") == 60
