"""Commands are answered with the codes of aiosmtpd, a server that many have tried."""

from __future__ import annotations

import asyncio

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.peers.sink import Sink
from tests.server.talking import Client, open_door

GONE = {"gone@example.org": "550 5.1.1 no such user", "later@example.org": "450 4.2.0 busy"}
PLAIN = [
    "MAIL FROM:<a@doa.example.gov>",
    "RCPT TO:<b@example.org>",
    "RCPT TO:<gone@example.org>",
    "Rcpt To:<c@example.org>",
    "DATA",
]
TEXT = b"Subject: x\r\n\r\nHello\r\n.\r\n"


class Taker:
    """A handler of aiosmtpd that takes all but one."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: object
    ) -> str:
        if address in GONE:
            return GONE[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return "250 taken"


DIALOGS = [
    ["EHLO c.example.gov", *PLAIN],
    ["HELO c.example.gov", *PLAIN],
    ["MAIL FROM:<a@doa.example.gov>", "EHLO c.example.gov", "RCPT TO:<b@example.org>", "DATA"],
    ["EHLO c.example.gov", "EHLO", "MAIL", "MAIL FROM:<>", "MAIL FROM:<>", "RSET", "RCPT TO:<b@example.org>"],
    ["EHLO c.example.gov", "MAIL FROM:<a@doa.example.gov> SIZE=100", "RCPT TO:<b@example.org> X=1", "NOOP", "VRFY b"],
    ["EHLO c.example.gov", "MAIL FROM:<a@doa.example.gov> SIZE=999999999", "NONSENSE", "RSET now", "QUIT now"],
]
OURS = {  # other codes than aiosmtpd's, and why
    "DATA": {"503"},  # no valid recipient: aiosmtpd says 503, we 554 where the next hop refused them (RFC 5321 3.3)
}


@pytest.mark.parametrize("lines", DIALOGS)
async def test_codes_are_those_of_aiosmtpd(lines: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Taker(), data_size_limit=52_428_800), "127.0.0.1", 0)
    theirs = Client(*await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
    await theirs.reply()
    async with open_door(Sink(refuse=dict(GONE))) as door:
        ours = await door.client()
        for line in lines:
            answers = [(await each.ask(line))[:3] for each in (theirs, ours)]
            assert answers[0] == answers[1] or answers[0] in OURS.get(line[:4], ()), (line, answers)
            if answers[1] == "354":
                assert [(await each.ask(TEXT))[:3] for each in (theirs, ours)] == ["250", "250"]
    theirs.leave()
    server.close()
