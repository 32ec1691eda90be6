"""Fake ends of data: no server behind the gate ever sees one, and nothing behind one is ever a command."""

from __future__ import annotations

import pytest

from tests.server.talking import Client, open_door

FAKE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\n\n.\n\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r.\r\n",
    b"\r\0\n.\r\0\n",
    b"\r\n.\n\r\n",
    b"\n\r.\n\r",
    b"\r\n.\r\0\n",
    b"\0\n.\n",
    b"\r\n\x00.\n",
    b"\n.\0\n",
]
SMUGGLED = (
    b"MAIL FROM:<ceo@doa.example.gov>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: fake\r\n\r\nfake\r\n.\r\n"
)


async def sent(client: Client, content: bytes, blocks: int) -> str:
    """Send content in some blocks; the reply to it."""
    size = max(1, len(content) // blocks)
    for start in range(0, len(content), size):
        client.say(content[start : start + size])
        await client.writer.drain()
    return await client.reply()


@pytest.mark.parametrize("blocks", [1, 1000], ids=["whole", "by octets"])
@pytest.mark.parametrize("fake", FAKE_ENDS, ids=repr)
async def test_a_message_with_a_fake_end_is_refused_whole(fake: bytes, blocks: int) -> None:
    async with open_door() as door:
        client = await door.client()
        assert (await client.envelope()).startswith("354")
        inner = b"Subject: outer\r\n\r\nouter" + fake + SMUGGLED[: SMUGGLED.index(b"\r\n.\r\n")] + b"\r\n.\r\n"
        assert (await sent(client, inner, blocks)).startswith("550 5.5.2 ")
        assert await client.rest() == b""  # the connection is over: nothing more was answered
        assert door.sink.mails == []
        assert door.pipeline.seen == []
        assert door.sink.commands["DATA"] == 0
        assert not any("ceo@" in line for _, line in door.sink.log)


@pytest.mark.parametrize(
    "command",
    [
        b"MAIL FROM:<a@b.c>\nRCPT TO:<x@b.c>\r\n",
        b"MAIL FROM:<a\r@b.c>\r\n",
        b"MAIL FROM:<a\0@b.c>\r\n",
        b"MAIL FROM:<a@b.c>\n",
        b"\nMAIL FROM:<a@b.c>\r\n",
        b"MAIL FROM:<a@b.c>\r\r\n",
    ],
)
async def test_bare_characters_in_a_command(command: bytes) -> None:
    async with open_door() as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert (await client.ask(command)).startswith("550 5.5.2 ")
        assert await client.ask("NOOP") == "250 2.0.0 ok"
        assert door.sink.commands["MAIL"] == 0


async def test_content_behind_data_is_no_content() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        client.say(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<b@b.c>\r\nDATA\r\nSubject: early\r\n\r\n.\r\n")
        assert (await client.replies(2))[1].startswith("250")
        assert (await client.rest()).startswith(b"554 5.5.1 ")
        assert door.pipeline.seen == []


async def test_input_before_the_greeting() -> None:
    async with open_door() as door:
        client = await door.silent()
        client.say("EHLO client.example.gov\r\n")  # before the listener's loop has had a turn
        assert (await client.rest()).startswith(b"554 5.5.1 ")


async def test_pipelining_behind_a_true_end_is_taken() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        client.say(b"one\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<b@b.c>\r\nDATA\r\n")
        assert [each[:3] for each in await client.replies(4)] == ["250", "250", "250", "354"]
        client.say(b"two\r\n.\r\nQUIT\r\n")
        assert [each[:3] for each in await client.replies(2)] == ["250", "221"]
        assert [mail.content for mail in door.sink.mails] == [b"one\r\n", b"two\r\n"]
