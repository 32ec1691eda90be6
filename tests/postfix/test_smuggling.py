"""Fake ends of data against the gate with Postfix behind it: no message more than was sent, whatever Postfix takes."""

from __future__ import annotations

import socket

import pytest

from tests.peers.gate import Gate
from tests.peers.postfix import Postfix
from tests.postfix.setups import RULES, next_hop
from tests.server.test_smuggling import FAKE_ENDS, SMUGGLED

OPENING = b"EHLO client.example.gov\r\nMAIL FROM:<a@doa.example.gov>\r\nRCPT TO:<b@dphhs.example.gov>\r\nDATA\r\n"
OUTER = b"Subject: outer\r\n\r\nouter"


def speak(port: int, content: bytes) -> str:
    """Send one message's octets as they are, its end behind them; all that is answered, up to the goodbye."""
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        answers = line.makefile("rb")
        answers.readline()
        line.sendall(OPENING)
        while not (answer := answers.readline()).startswith(b"354"):
            assert answer[:1] == b"2", answer
        line.sendall(content + b"\r\n.\r\n")
        last = answers.readline()
        if last.startswith(b"550 5.5.2"):  # the connection is over: what is sent now is answered by a reset at most
            return last.decode()
        line.sendall(b"QUIT\r\n")
        return (last + answers.read()).decode()


def subjects(postfix: Postfix) -> list[str]:
    postfix.wait_empty()
    mails = [mail.content for mail in postfix.mails()]
    return sorted(line.decode() for mail in mails for line in mail.split(b"\r\n") if line.startswith(b"Subject: "))


def test_no_fake_end_makes_a_message_behind_the_gate() -> None:
    smuggled = SMUGGLED.removesuffix(b"\r\n.\r\n")
    stuffed = OUTER + b"\r\n..\r\nMAIL FROM:<ceo@doa.example.gov>\r\n..\r\nQUIT"  # all of it text
    with next_hop() as postfix, Gate(f"smtp://127.0.0.1:{postfix.port}", rules=RULES) as gate:
        for fake in FAKE_ENDS:
            said = speak(gate.port, OUTER + fake + smuggled)
            assert said.startswith("550 5.5.2 ") and said.count("\r\n") == 1, (fake, said)
        assert speak(gate.port, stuffed).startswith("250 ")
        assert subjects(postfix) == ["Subject: outer"]
        assert postfix.mails()[0].content.endswith(stuffed.replace(b"\r\n..", b"\r\n.") + b"\r\n")
        assert "from=<ceo@" not in postfix.log()
    assert len(FAKE_ENDS) >= 15


@pytest.mark.soak
def test_the_same_postfix_without_the_gate_does_take_some_of_them() -> None:
    """What the test above would miss were the gate not there; a Postfix that takes none makes it an empty one."""
    smuggled = SMUGGLED.removesuffix(b"\r\n.\r\n")
    with next_hop(main={"smtpd_forbid_bare_newline": "no"}) as postfix:
        for fake in FAKE_ENDS:
            speak(postfix.port, OUTER + fake + smuggled)
        assert "Subject: fake" in subjects(postfix)
