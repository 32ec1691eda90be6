"""A next hop that fails in the midst of an envelope: what its client is told, line by line and in one piece."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers.sink import Sink, close, delay, say
from tests.server.talking import Client, open_door, until

LINES = [
    "MAIL FROM:<a@doa.example.gov>",
    "RCPT TO:<b@example.org>",
    "RCPT TO:<gone@example.org>",
    "Rcpt To:<c@example.org>",
    "DATA",
]
GONE = {"gone@example.org": "550 5.1.1 no such user"}
ALL_WELL = ["250", "250", "550", "250", "354", "250"]
REFUSED = {
    ("MAIL", False): ["450", "503", "503", "503", "503"],
    ("MAIL", True): ["450", "450", "450", "450", "503"],
    ("RCPT", False): ["250", "450", "550", "250", "354", "250"],
    ("RCPT", True): ["250", "450", "550", "250", "354", "250"],
    ("DATA", False): ["250", "250", "550", "250", "354", "450"],
    ("DATA", True): ["250", "250", "550", "250", "354", "450"],
}
ACTS: dict[str, Callable[[], object]] = {
    "closes": close,
    "says 421": lambda: say("421 4.3.2 bye"),
    "refuses for now": lambda: say("450 4.2.1 not now"),
}


async def warm(client: Client) -> None:
    """Send a message, which leaves a kept connection behind."""
    await client.envelope()
    assert (await client.ask(b"x\r\n.\r\n")).startswith("250")


async def envelope(client: Client, *, piped: bool) -> list[str]:
    """The replies to all lines, and to the message where it is let in."""
    if piped:
        client.say("".join(f"{line}\r\n" for line in LINES))
        replies = await client.replies(len(LINES))
    else:
        replies = [await client.ask(line) for line in LINES]
    if replies[-1].startswith("354"):
        replies.append(await client.ask(b"y\r\n.\r\n"))
    return [reply[:3] for reply in replies]


@pytest.mark.parametrize("piped", [False, True], ids=["line by line", "in one piece"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("what", ACTS)
async def test_what_goes_wrong_at_the_next_hop(step: str, what: str, piped: bool) -> None:
    """A connection that is lost before the dot costs nobody anything: all is said again on another."""
    sink = Sink(refuse=dict(GONE))
    async with open_door(sink) as door:
        client = await door.client()
        await warm(client)
        sink.at(step, ACTS[what](), times=1)
        expected = REFUSED[step, piped] if what == "refuses for now" else ALL_WELL
        assert await envelope(client, piped=piped) == expected
        passed = [[address for address, _ in mail.recipients] for mail in sink.mails[1:]]
        taken = [line[9:-1] for line, code in zip(LINES, expected, strict=False) if line[0] == "R" and code == "250"]
        assert passed == ([taken] if expected[-1] == "250" else [])
        assert await envelope(client, piped=piped) == ALL_WELL


async def test_what_comes_behind_a_group_before_its_replies_is_no_message() -> None:
    """RFC 2920 3.1: a client that does not wait for 354 may mean something else by it."""
    sink = Sink()
    async with open_door(sink) as door:
        client = await door.client()
        await warm(client)
        sink.at("RCPT", delay(0.2), times=1)
        client.say("".join(f"{line}\r\n" for line in LINES))
        await until(lambda: sink.commands["RCPT"] > 1)
        client.say(b"y\r\n.\r\n")
        assert (await client.rest()).splitlines()[-1].startswith(b"554 5.5.1 ")
        assert len(sink.mails) == 1
