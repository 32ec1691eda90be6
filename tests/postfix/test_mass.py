"""Mass mail through Postfix: it arrives at the gate uncut, is held, and a person decides what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.peers.postfix import Delivered, Postfix
from tests.peers.sink import Sink
from tests.postfix.inject import inject
from tests.postfix.mails import Letter
from tests.postfix.setups import RULES, next_hop, relaying

SENDER = "head@doa.example.gov"
DECIDED = ("--by", "cio@example.gov", "--reason", "as the law has it")


def message(subject: str) -> bytes:
    return (
        f"From: {SENDER}\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@doa.example.gov>\r\n\r\n.Read this by Friday.\r\n"
    ).encode()


def people(count: int, *domains: str) -> list[str]:
    return [f"user{each}@{domains[each % len(domains)]}" for each in range(count)]


@dataclass
class Way:
    """Senders' Postfix, the gate, and a Postfix behind it. What that one gets goes on to a sink, but for the sender's
    own mail, which comes back to the first one's mailbox."""

    first: Postfix
    gate: Gate
    last: Postfix
    sink: Sink

    def send(self, recipients: list[str], content: bytes) -> None:
        asyncio.run(inject(self.first.port, [Letter("mass", SENDER, tuple(recipients), content)]))
        self.first.wait_empty()

    def copies(self, content: bytes) -> Counter[str]:
        """Who has been given the message behind the gate, and how often."""
        mails = [mail for mail in self.sink.mails if mail.content.endswith(content)]
        return Counter(address for mail in mails for address in mail.addresses)

    def wait_copies(self, content: bytes, count: int) -> None:
        wait_for(lambda: self.copies(content).total() >= count, lambda: f"{self.copies(content).total()}", 60, 0.2)
        self.last.wait_empty()

    def letter(self, *words: bytes) -> Delivered:
        """The mail in the sender's mailbox that has all these words, once it is there."""

        def found() -> list[Delivered]:
            return [mail for mail in self.first.mails() if all(word in mail.content for word in words)]

        wait_for(lambda: bool(found()), lambda: f"{words}: {self.gate.log()[-2000:]}{self.last.log()[-2000:]}", 30, 0.2)
        assert len(found()) == 1
        return found()[0]


@contextmanager
def way(sink: Sink) -> Iterator[Way]:
    mailbox = {"transport_maps": f"inline:{{{{{SENDER}=virtual:}}}}", "virtual_mailbox_domains": ""}
    home = free_port()
    back = {"transport_maps": f"inline:{{{{{SENDER}=smtp:[127.0.0.1]:{home}}}}}"}
    uncut = {"smtp_destination_recipient_limit": "5000"}
    with (
        next_hop(relayhost=f"[127.0.0.1]:{sink.port}", main={**back, **uncut}) as last,
        Gate(f"smtp://127.0.0.1:{last.port}", rules=RULES) as gate,
        relaying(gate, receives=True, main=mailbox, port=home) as first,
    ):
        yield Way(first, gate, last, sink)


def held_and_released_to_each_once(mail: Way) -> None:
    everybody = people(2400, "doa.example.gov", "dphhs.example.gov")
    mail.send(everybody, message("enrolment"))
    assert "status=sent (250 2.0.0 Held for approval as M-1" in mail.first.log()
    held = [(each["id"], each["users"], each["batches"]) for each in mail.gate.mailings("held")]
    assert held == [("M-1", 2400, 1)] and mail.copies(message("enrolment")) == {}
    notice = mail.letter(b"M-1", b"2400")
    assert notice.sender == "" and b"multipart/report" not in notice.content

    mail.gate.cli("mailing", "approve", "M-1", *DECIDED)
    mail.wait_copies(message("enrolment"), 2400)
    assert mail.copies(message("enrolment")) == Counter(everybody)
    assert [each["state"] for each in mail.gate.mailings()] == ["released"]


def held_and_returned_as_one_report(mail: Way) -> None:
    mail.send(people(2400, "doa.example.gov", "dphhs.example.gov"), message("party"))
    mail.gate.cli("mailing", "deny", "M-2", *DECIDED)
    report = mail.letter(b"multipart/report")
    assert report.sender == "" and b"as the law has it" in report.content and b"Subject: party" in report.content
    assert report.content.count(b"Final-Recipient:") == 2400
    assert mail.copies(message("party")) == {} and mail.last.queue() == [] == mail.first.queue()


def relayed_below_the_limits(mail: Way) -> None:
    for subject, readers in (
        ("two-agencies", people(2000, "doa.example.gov", "dphhs.example.gov")),
        ("one-agency", people(2300, "dphhs.example.gov")),
    ):
        mail.send(readers, message(subject))
        mail.wait_copies(message(subject), len(readers))
        assert mail.copies(message(subject)) == Counter(readers)
    assert mail.gate.metric("gatekeeper_recipients_count") == 4  # each of our four came uncut


async def test_it_is_held_and_released_or_returned_or_relayed() -> None:
    async with Sink() as sink:

        def scenarios() -> None:
            with way(sink) as mail:
                held_and_released_to_each_once(mail)
                held_and_returned_as_one_report(mail)
                relayed_below_the_limits(mail)

        await asyncio.to_thread(scenarios)


@pytest.mark.soak
def test_a_next_hop_that_takes_a_thousand_recipients_at_a_time_gets_them_in_rounds() -> None:
    readers = people(2300, "dphhs.example.gov")
    with (
        next_hop(main={"smtpd_recipient_limit": "1000"}) as last,
        Gate(f"smtp://127.0.0.1:{last.port}", rules=RULES) as gate,
        relaying(gate) as first,
    ):
        asyncio.run(inject(first.port, [Letter("mass", SENDER, tuple(readers), message("rounds"))]))
        first.wait_empty(120)
        # a thousand is a size that rules.yaml gathers: they leave when all have come
        wait_for(lambda: len(last.mails()) >= 2300, lambda: gate.log()[-2000:], 120, 1.0)
        last.wait_empty(120)
        assert Counter(mail.recipient for mail in last.mails()) == Counter(readers)
        assert gate.metric("gatekeeper_recipients_sum") == 2300 and gate.metric("gatekeeper_recipients_count") == 3
