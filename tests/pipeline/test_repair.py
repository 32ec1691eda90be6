"""`repair: blind` from end to end: relayed, gathered, held and approved, and by the milter (C9)."""

from __future__ import annotations

import asyncio

from tests.peers import free_port, wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.milter import MilterClient
from tests.peers.sink import Sink
from tests.store.arrivals import people

BLIND = RULES.replace("then: reject\n    say: Move", "then: warn\n    repair: blind\n    say: Move").replace(
    "within: 24h}", "within: 24h, gather: {from: 250, quiet: 1s, limit: 10s}}"
)
HEAD = "head@doa.example.gov"


def message(number: int, subject: str) -> bytes:
    shown = ",\r\n ".join(people(number))
    return (
        f"From: {HEAD}\r\nTo: {shown}\r\nCc: {HEAD}\r\n"
        f"Subject: {subject}\r\nMessage-ID: <{subject}@doa.example.gov>\r\n"
        "X-Other: stays  as it is\r\n\r\nTo: in the body\r\n"
    ).encode()


def as_it_should_be(content: bytes, received: bytes) -> bool:
    """Whether what was received is the content with To and Cc hidden, behind fields of our own."""
    head, _, rest = content.partition(b"\r\nTo: ")
    after = rest[rest.index(b"Subject:") :]
    return received.endswith(head + b"\r\nTo: undisclosed-recipients:;\r\n" + after) and b"user1@" not in received


async def test_a_visible_list_is_hidden_on_every_way_out():
    milter = free_port()
    async with Sink() as sink:
        with Gate(f"smtp://127.0.0.1:{sink.port}", rules=BLIND, flags=["--milter", f"127.0.0.1:{milter}"]) as gate:
            for number, subject in ((210, "relayed"), (300, "gathered"), (2400, "held")):
                content = message(number, subject)
                code, text = await asyncio.to_thread(gate.send, HEAD, people(number), content)
                assert code == 250, text
                if subject == "held":
                    (held,) = await asyncio.to_thread(gate.mailings, "held")
                    await asyncio.to_thread(gate.cli, "mailing", "approve", held["id"], "--by", "cio@example.gov")
                await asyncio.to_thread(wait_for, lambda subject=subject: bool(sent(sink, subject)), gate.log)
                assert all(as_it_should_be(content, mail) for mail in sent(sink, subject)), subject
            untouched = message(3, "a few")
            await asyncio.to_thread(gate.send, HEAD, people(3), untouched)
            assert sent(sink, "a few")[0].endswith(untouched)

            def by_milter():
                with MilterClient.tcp(milter) as mta:
                    return mta.message(HEAD, [(address,) for address in people(210)], message(210, "milter"))

            answer = await asyncio.to_thread(by_milter)
            assert answer.verdict == "accept" and answer.removed == [("To", 1), ("Cc", 1)]
            assert ("To", "undisclosed-recipients:;") in [(name, value.strip()) for name, value in answer.added]


def sent(sink: Sink, subject: str) -> list[bytes]:
    return [mail.content for mail in sink.mails if f"Subject: {subject}\r\nMess".encode() in mail.content]
