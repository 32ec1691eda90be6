"""What Postfix and the gate say to each other: XFORWARD, offers, batches, TLS, and what happens while one is away."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections import Counter
from pathlib import Path

import pytest

from tests.message.samples import CORPUS, corpus
from tests.peers import wait_for
from tests.peers.certificates import make_certificate
from tests.peers.gate import Gate
from tests.peers.postfix import Delivered, Postfix
from tests.peers.sink import Mail, Sink
from tests.postfix.inject import inject
from tests.postfix.mails import Letter, mixture
from tests.postfix.setups import RULES, next_hop, read_setup, relaying
from tests.postfix.tally import tally, witnessed
from tests.postfix.test_mass import SENDER, message, people

OWN_REPORT = b"Received: by "  # what Postfix writes itself: that it delivered, to who asked for NOTIFY=SUCCESS
CUT = "mass: {people: {over: 100}}\nmailing: {source: sender, within: 24h, gather: off}"
SMALL = re.sub(r"(?s)^mailing:.*?(?=^requests:)|^mass:.*?$", "", RULES, flags=re.MULTILINE) + "\n" + CUT + "\n"
NAMELESS = (
    f"From: {SENDER}\r\n\r\nhello\r\n".encode()
)  # nothing but the queue id tells that its batches are one message


def send(postfix: Postfix, recipients: list[str], content: bytes, client: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, "client.example.gov", timeout=60) as line:
        if client:
            line.ehlo()
            assert line.docmd("XCLIENT", client)[0] == 220
        assert line.sendmail(SENDER, recipients, content) == {}


@pytest.mark.parametrize("told", ["yes", pytest.param("no", marks=pytest.mark.soak)])
async def test_batches_that_postfix_cut_are_one_mailing_where_xforward_tells_the_queue_id(told: str) -> None:
    """120 recipients in batches of 50: over 100 it is mass mail, which must have a subject."""
    async with Sink() as sink, Gate(f"smtp://127.0.0.1:{sink.port}", rules=SMALL) as gate:
        setup = read_setup("Relay", gate.port)
        services = [line.replace("xforward_command=yes", f"xforward_command={told}") for line in setup.services]
        main = {**setup.main, "gate_destination_recipient_limit": "50"}
        async with Postfix(main=main, services=services) as postfix:
            await asyncio.to_thread(send, postfix, people(120, "deq.example.gov"), NAMELESS)
            await asyncio.to_thread(postfix.wait_empty)
            refused = postfix.log().count("Add a subject line")
        mine = [mail for mail in sink.mails if mail.sender]
        assert sum(len(mail.addresses) for mail in mine) + refused == 120
        assert (len(mine), refused > 0) == ((2, True) if told == "yes" else (3, False))


async def test_what_passes_between_them() -> None:
    """One after the other, in one Postfix."""
    more = {"mynetworks": "127.0.0.0/8 192.0.2.0/24", "smtpd_authorized_xclient_hosts": "127.0.0.1"}
    async with Sink() as sink, Gate(f"smtp://127.0.0.1:{sink.port}", rules=RULES) as gate:
        more["fallback_relay"] = f"[127.0.0.1]:{sink.port}"
        async with relaying(gate, main=more) as postfix:
            for scenario in (speaks_for_a_client, refuses_a_recipient, takes_out_bare_cr_and_nul, waits_for_the_gate):
                sink.mails.clear()
                await asyncio.to_thread(scenario, sink, gate, postfix)


def speaks_for_a_client(sink: Sink, _gate: Gate, postfix: Postfix) -> None:
    """The gate's trace field names the client of Postfix, and its protocol, not Postfix."""
    for client in ("NAME=pc7.example.gov ADDR=192.0.2.7", "NAME=[UNAVAILABLE] ADDR=192.0.2.8"):
        send(postfix, ["b@example.org"], message("who"), client + " HELO=pc7")
    postfix.wait_empty()
    tops = b"".join(b" ".join(mail.content.split(b"\r\n")[:2]) for mail in sink.mails)
    assert tops.count(b" with SMTP id ") == 2
    assert b"from pc7 (pc7.example.gov [192.0.2.7]) \tby " in tops and b"from pc7 (unknown [192.0.2.8]) \tby " in tops


def refuses_a_recipient(sink: Sink, _gate: Gate, postfix: Postfix) -> None:
    """What the next hop refuses comes back through the gate as Postfix's own report."""
    sink.refuse["gone@example.org"] = "550 5.1.1 no such user"
    send(postfix, ["gone@example.org", "b@example.org"], message("half"))
    postfix.wait_empty()
    taken = {(mail.sender, *mail.addresses): mail.content for mail in sink.mails}
    assert set(taken) == {(SENDER, "b@example.org"), ("", SENDER)}
    assert b"550 5.1.1 no such user" in taken["", SENDER]


def takes_out_bare_cr_and_nul(sink: Sink, _gate: Gate, postfix: Postfix) -> None:
    odd = Letter("odd", SENDER, ("b@example.org",), b"Subject: odd\r\n\r\none\rtwo\0three\r\n")
    asyncio.run(inject(postfix.port, [odd]))
    postfix.wait_empty()
    assert [mail.content.partition(b"\r\n\r\n")[2] for mail in sink.mails] == [b"one twothree\r\n"]


def waits_for_the_gate(sink: Sink, gate: Gate, postfix: Postfix) -> None:
    """While the gate is down mail waits in Postfix, takes no way around, and then goes once."""
    gate.kill()
    send(postfix, ["b@example.org"], message("later"))
    wait_for(lambda: "Connection refused" in str(postfix.queue()), postfix.log)
    assert sink.mails == []
    gate.start()
    postfix.flush()
    postfix.wait_empty()
    assert sink.recipients == ["b@example.org"]


async def test_tls_on_both_sides(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "gate.example.gov")
    flags = ["--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)]
    async with Sink() as sink, Gate(f"smtp://127.0.0.1:{sink.port}", rules=RULES, flags=flags) as gate:
        page = read_setup("TLS", gate.port)
        services = [line.replace("/etc/postfix/gate.pem", str(certificate.certificate)) for line in page.services]
        async with Postfix(main=read_setup("Relay", gate.port).main, services=services) as postfix:
            await asyncio.to_thread(send, postfix, ["b@example.org"], message("secret"))
            await asyncio.to_thread(postfix.wait_empty)
            assert "status=sent" in postfix.log()
            assert re.search(r"Verified TLS connection established to 127\.0\.0\.1", postfix.log()), postfix.log()
    assert len(sink.mails) == 1


# -- a second Postfix as the next hop ----------------------------------------------------------------------------


def at_the_mailbox(copy: Delivered) -> Mail:
    """A copy of the last Postfix without its trace field, as a message that a next hop was given."""
    content = re.sub(rb"\AReceived: .*\r\n(?:[ \t].*\r\n)*", b"", copy.content)
    return Mail(copy.sender, (), [(copy.recipient, ())], content, 0, b"")


async def through_two(letters: list[Letter]) -> None:
    async with Sink() as witness, next_hop() as last, Gate(f"smtp://127.0.0.1:{last.port}", rules=RULES) as gate:
        async with relaying(gate, main=witnessed(witness)) as first:
            taken = await inject(first.port, letters)
            await asyncio.to_thread(first.wait_empty)
            await asyncio.to_thread(last.wait_empty)
        copies = [at_the_mailbox(copy) for copy in last.mails() if not copy.content.startswith(OWN_REPORT)]
        result = tally(taken, copies, witness.mails, envelopes=False)
    assert result.clean, str(result)


async def test_a_second_postfix_behind_the_gate_has_every_message_once_and_unchanged() -> None:
    await through_two(mixture(7, 90, 60, corpus()[:20] if CORPUS.exists() else []))


@pytest.mark.soak
async def test_a_thousand_messages_to_a_second_postfix() -> None:
    await through_two(mixture(8, 1000, 300, corpus()[::5]))


def test_the_counts_of_copies() -> None:
    copy = Delivered("a@doa.example.gov", "b@example.org", b"Received: x\r\n\ty\r\nReceived: z\r\n\r\ntext\r\n")
    assert Counter(at_the_mailbox(copy).addresses) == {"b@example.org": 1}
    assert at_the_mailbox(copy).content == b"Received: z\r\n\r\ntext\r\n"
