"""What the listener takes in: `explain` and a running gate refuse the same, with the same words."""

from __future__ import annotations

import smtplib

import pytest

from gatekeeper.policy.acceptance import is_sender_allowed, take_in
from gatekeeper.policy.active import read_policy
from tests.peers.gate import Gate

JO, BO = "jo@doa.example.gov", "bo@dphhs.example.gov"
SMALL = b"From: jo@doa.example.gov\r\nSubject: x\r\n\r\nHi\r\n"
LOOPING = b"Received: from a by b; Mon, 30 Nov 2026 10:00:00 +0000\r\n" * 120 + SMALL
MESSAGES = {
    "ordinary": (JO, [BO], SMALL),
    "the null sender": ("", [BO], SMALL),
    "somebody else's domain": ("jo@elsewhere.example", [BO], SMALL),
    "a quote within": ("any@dphhs.example.gov'@any.doa.example.gov", [BO], SMALL),
    "a blank": ("jo doe@doa.example.gov", [BO], SMALL),
    "no domain": ("jo", [BO], SMALL),
    "one of two recipients": (JO, [BO, "any@dphhs.example.gov'@any.doa.example.gov"], SMALL),
    "no good recipient": (JO, ["bo@", "@x"], SMALL),
    "a literal": (JO, ["bo@[192.0.2.1]"], SMALL),
    "beyond ascii": ("jö@doa.example.gov", ["bö@dphhs.example.gov"], SMALL),
    "a quoted local part": ('"jo doe"@doa.example.gov', [BO], SMALL),
    "going round": (JO, [BO], LOOPING),
    "too large": (JO, [BO], SMALL + b"x" * 70_000 + b"\r\n"),
    "a bare line feed": (JO, [BO], SMALL + b"x\ny\r\n"),
    "a NUL": (JO, [BO], SMALL + b"\0\r\n"),
    "nothing": (JO, [BO], b""),
}


def by_the_gate(gate, sender, recipients, content):
    """The replies that refuse something, as a client sees them."""
    with smtplib.SMTP(gate.host, gate.port, "localhost", 60) as client:
        client.ehlo()

        def refused(*words):
            code, text = client.docmd(*words)
            return [f"{code} {text.decode()}"] if code >= 400 else []

        option = "" if sender.isascii() else " SMTPUTF8"
        client.command_encoding = "utf-8"
        if found := refused(f"MAIL FROM:<{sender}>{option}"):
            return found
        asked = [refused(f"RCPT TO:<{each}>") for each in recipients]
        found = [reply for replies in asked for reply in replies]
        if all(asked):
            return found
        client.docmd("DATA")
        client.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, text = client.getreply()
        return [*found, *([f"{code} {text.decode()}"] if code >= 400 else [])]


@pytest.fixture(scope="module")
def gate():
    with Gate("maildir:out", flags=["--max-size", "60000"]) as running:
        yield running


@pytest.mark.parametrize("name", MESSAGES)
def test_explain_refuses_what_the_gate_refuses(gate, name):
    sender, recipients, content = MESSAGES[name]
    directory = read_policy(gate.home / "rules.yaml").directory
    taken = take_in(
        sender, recipients, content, None, lambda address: is_sender_allowed(address, (), directory), 60_000
    )
    assert [each.reply for each in taken.refusals] == by_the_gate(gate, sender, recipients, content)
    left = len(recipients) - sum(each.command == "RCPT" for each in taken.refusals)
    if taken.transaction:
        assert (taken.transaction.sender, len(taken.transaction.recipients)) == (sender, left)
    else:
        assert not left or taken.refusals[-1].command != "RCPT"


def test_a_recipient_of_two_lines_is_no_two_commands():
    taken = take_in(JO, [f"{BO}>\r\nRCPT TO:<x@dphhs.example.gov", BO], SMALL, "jo", lambda address: True, 60_000)
    assert [each.reply[:9] for each in taken.refusals] == ["501 5.1.3"]
    assert taken.transaction.addresses == (BO,) and taken.transaction.authenticated


def test_who_is_sent_away_for_too_many_errors_sends_nothing_more():
    too_long = f"{'x' * 20_000}@dphhs.example.gov"
    taken = take_in(JO, [BO, *[too_long] * 12, BO], SMALL, None, lambda address: True, 60_000)
    assert taken.transaction is None
    assert [each.reply[:3] for each in taken.refusals] == ["500"] * 10 + ["421"] * 4  # the last two, and the message


def test_a_last_line_without_an_end_and_lines_of_a_dot_are_as_a_client_sends_them():
    taken = take_in(JO, [BO], b"Subject: x\r\n\r\n.\r\n..\r\nHi", None, lambda address: True, 60_000)
    assert taken.transaction.content == b"Subject: x\r\n\r\n.\r\n..\r\nHi\r\n"
