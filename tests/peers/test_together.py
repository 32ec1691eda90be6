"""A real Postfix routes its mail through a running gate to a second Postfix."""

import smtplib

from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.postfix import Postfix

SMALL = RULES.replace("over: 2000", "over: 300")  # so that the hold needs no 2,000 deliveries
UNCUT = {"smtp_destination_recipient_limit": "5000"}


def message(subject: str) -> bytes:
    return (
        f"From: head@doa.example.gov\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@doa.example.gov>\r\n\r\n.hello\r\n"
    ).encode()


def people(number: int) -> list[str]:
    return [f"user{each}@{('doa', 'dphhs')[each % 2]}.example.gov" for each in range(number)]


def send(postfix: Postfix, recipients: list[str], content: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        assert client.sendmail("head@doa.example.gov", recipients, content) == {}


def test_ordinary_mail_passes_and_mass_mail_is_held_and_then_released_once():
    with Postfix(receives=True) as last, Gate(f"smtp://127.0.0.1:{last.port}", rules=SMALL) as gate:
        with Postfix(relayhost=f"[127.0.0.1]:{gate.port}", main=UNCUT) as first:
            send(first, ["b@dphhs.example.gov"], message("lunch"))
            first.wait_empty()
            last.wait_empty()
            assert [mail.recipient for mail in last.mails()] == ["b@dphhs.example.gov"]
            assert last.mails()[0].content.endswith(message("lunch"))

            send(first, people(400), message("enrolment"))
            first.wait_empty()
            assert "Held for approval as M-1" in first.log()
        assert [(held["id"], held["users"]) for held in gate.mailings("held")] == [("M-1", 400)]
        gate.cli("mailing", "approve", "M-1", "--by", "cio@example.gov")
        wait_for(lambda: len(copies(last)) >= 400, lambda: f"{len(copies(last))} of 400", 60, 0.2)
        last.wait_empty()
        assert sorted(copies(last)) == sorted(people(400))


def copies(postfix: Postfix) -> list[str]:
    """Whom the mass mail was delivered to; notices of the gate itself have another sender."""
    return [mail.recipient for mail in postfix.mails() if mail.sender and mail.content.endswith(message("enrolment"))]
