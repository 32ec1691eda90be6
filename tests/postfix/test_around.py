"""One Postfix both before and behind the gate: before its queue, where the client hears the verdict, and after it."""

from __future__ import annotations

import asyncio
import smtplib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers import free_port
from tests.peers.gate import Gate
from tests.peers.postfix import Postfix
from tests.peers.sink import Sink
from tests.postfix.setups import RULES, around
from tests.postfix.test_mass import SENDER, message, people

BEFORE, AFTER = "Before the queue", "After the queue"
ALIASES = {
    "virtual_alias_maps": "inline:{{team@doa.example.gov=a@doa.example.gov b@doa.example.gov c@deq.example.gov}}"
}
NO_SUBJECT = message("").replace(b"Subject: \r\n", b"")


@contextmanager
def loop(section: str, *, next_hop: int = 0, **main: str) -> Iterator[tuple[Postfix, Gate]]:
    """A Postfix that keeps all mail, and its gate, whose next hop is that Postfix again unless a port is named."""
    behind = free_port()
    gate = Gate(f"smtp://127.0.0.1:{next_hop or behind}", rules=RULES)
    gate.flags = ["--listen", f"127.0.0.1:{gate.port},before-queue"] if section == BEFORE else []
    with around(section, gate, behind, receives=True, main=main) as postfix, gate:
        yield postfix, gate


def send(postfix: Postfix, recipients: list[str], content: bytes) -> tuple[dict[str, tuple[int, bytes]], bytes]:
    """One transaction: the recipients that were refused, and the reply to the dot."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo()
        client.mail(SENDER)
        refused = {each: reply for each in recipients if (reply := client.rcpt(each))[0] != 250}
        code, text = client.data(content)
        return refused, b"%d %s" % (code, text)


def copies(postfix: Postfix, content: bytes) -> Counter[str]:
    postfix.wait_empty()
    return Counter(mail.recipient for mail in postfix.mails() if mail.content.endswith(content))


def test_before_the_queue_the_client_hears_every_verdict() -> None:
    with loop(BEFORE, **ALIASES) as (postfix, gate):
        refused, reply = send(postfix, ["a@deq.example.gov", "b@example.org"], message("lunch"))
        assert refused == {} and reply.startswith(b"250 2.0.0 Ok: queued as ")
        assert copies(postfix, message("lunch")) == {"a@deq.example.gov": 1, "b@example.org": 1}

        assert send(postfix, people(250, "deq.example.gov"), NO_SUBJECT)[1].startswith(
            b"550 5.7.1 Not sent. 1) Add a sub"
        )
        held = send(postfix, people(2400, "deq.example.gov", "doa.example.gov"), message("enrolment"))[1]
        assert held.startswith(b"250 2.0.0 Held for approval as M-1: not sent yet")
        assert copies(postfix, NO_SUBJECT) == copies(postfix, message("enrolment")) == {}
        gate.cli("mailing", "deny", "M-1", "--by", "cio@example.gov", "--reason", "no")

        before = gate.metric("gatekeeper_recipients_sum")
        send(postfix, ["team@doa.example.gov"], message("team"))
        assert copies(postfix, message("team")).total() == 3  # expanded behind the gate,
        assert gate.metric("gatekeeper_recipients_sum") == before + 1  # which was shown the alias


async def test_before_the_queue_a_refused_recipient_and_a_gate_that_is_down() -> None:
    async with Sink(refuse={"gone@deq.example.gov": "550 5.1.1 no such user"}) as sink:
        await asyncio.to_thread(refused_and_down, sink)


def refused_and_down(sink: Sink) -> None:
    with loop(BEFORE, next_hop=sink.port) as (postfix, gate):
        refused, reply = send(postfix, ["a@deq.example.gov", "gone@deq.example.gov"], message("half"))
        assert refused == {"gone@deq.example.gov": (550, b"5.1.1 no such user")}
        assert reply == b"250 2.0.0 taken" and sink.recipients == ["a@deq.example.gov"]

        gate.kill()
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
            client.ehlo()
            client.mail(SENDER)
            assert client.rcpt("b@deq.example.gov") == (451, b"4.3.0 Error: queue file write error")
        gate.start()
        assert send(postfix, ["b@deq.example.gov"], message("up"))[1] == b"250 2.0.0 taken"
        assert sink.recipients == ["a@deq.example.gov", "b@deq.example.gov"]


def test_after_the_queue_mail_goes_round_once_and_aliases_are_counted_as_people() -> None:
    with loop(AFTER, **ALIASES) as (postfix, gate):
        send(postfix, ["team@doa.example.gov", "d@example.org"], message("team"))
        assert copies(postfix, message("team")) == dict.fromkeys(
            ["a@doa.example.gov", "b@doa.example.gov", "c@deq.example.gov", "d@example.org"], 1
        )
        assert gate.metric("gatekeeper_recipients_sum") == 4
        assert [mail.content.count(b"\nReceived:") for mail in postfix.mails()] == [
            2
        ] * 4  # and one that is the first line

        send(postfix, people(2400, "deq.example.gov", "doa.example.gov"), message("enrolment"))
        assert copies(postfix, message("enrolment")) == {} and len(gate.mailings("held")) == 1
