"""What is rare on a connection: replies cut up, clients that do not read, the end at an odd moment."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from pathlib import Path

import pytest

from gatekeeper.server.smtp_connection import TOO_SLOW
from tests.peers.certificates import make_certificate
from tests.peers.sink import Sink, close, delay, say
from tests.server.talking import Client, Door, open_door, until


async def warm(door: Door) -> Client:
    """A client that has sent a message, and with it left a kept connection to the next hop."""
    client = await door.client()
    await client.envelope()
    assert (await client.ask(b"Subject: x\r\n\r\nHello\r\n.\r\n")).startswith("250")
    return client


async def test_a_client_that_has_gone_is_not_kept_for_a_reply_that_it_has() -> None:
    """Before the queue each message has a timer for `no answer yet`: with a thousand a second, 90 s are much."""
    async with open_door(listen="127.0.0.1:0,before-queue") as door:
        client = await warm(door)
        (connection,) = map(weakref.ref, door.listener._server.connections())
        assert (await client.ask("QUIT")).startswith("221")
        await until(lambda: not door.listener.connections)
        await asyncio.sleep(0)
        gc.collect()
        assert connection() is None


async def test_who_does_not_read_and_sends_its_message_all_the_same_is_answered_in_turn() -> None:
    """Go-ahead and reply are written all the same; only the next command waits until there is room."""
    sink = Sink()
    async with open_door(sink) as door:
        client = await warm(door)
        connection = door.listener._server.connections()[0]
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        sink.at("RCPT", delay(0.1), times=1)
        client.say("RCPT TO:<b@example.org>\r\nDATA\r\n")
        await until(lambda: sink.commands["RCPT"] == 2)
        connection.pause_writing()
        assert (await client.replies(2))[1].startswith("354")
        client.say(b"Subject: y\r\n\r\nHello\r\n.\r\n")
        assert (await client.reply()).startswith("250")
        client.say("MAIL FROM:<a@doa.example.gov>\r\nRCPT TO:<b@example.org>\r\n")
        await asyncio.sleep(0.05)
        assert sink.commands["MAIL"] == 2, "no more is taken in than can be answered"
        connection.resume_writing()
        assert [reply[:3] for reply in await client.replies(2)] == ["250", "250"]
        assert (await client.ask("DATA")).startswith("354")
        assert (await client.ask(b"z\r\n.\r\n")).startswith("250")
        assert len(sink.mails) == 3


async def test_who_reads_again_before_it_says_more_is_heard_afterwards() -> None:
    """Nothing waited when there was room again: what comes later is read all the same, and has a deadline."""
    async with open_door(command_timeout="400ms") as door:
        client, idle = await warm(door), await warm(door)
        connections = door.listener._server.connections()
        for each in connections:
            each.pause_writing()
        assert [(await each.ask("NOOP"))[:3] for each in (client, idle)] == ["250", "250"]
        for each in connections:
            each.resume_writing()
        assert (await client.ask("QUIT")).startswith("221")
        assert (await idle.reply()).startswith("421")


async def test_who_was_sent_away_in_mid_message_has_sent_none() -> None:
    """TLS hands out what had come in before its goodbye: the client was told 421, and will send it again."""
    async with open_door() as door:
        client = await warm(door)
        await client.envelope()
        connection = door.listener._server.connections()[0]
        client.say(b"Subject: y\r\n\r\nHel")
        await until(lambda: connection._intake._received > 0)
        connection.close_with(TOO_SLOW)
        connection.data_received(b"lo\r\n.\r\n")
        assert (await client.rest()).startswith(b"421")
        assert len(door.pipeline.seen) == 1


async def test_a_next_hop_whose_last_reply_comes_in_pieces_keeps_its_connection() -> None:
    commands: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands.append("CONNECT")
        writer.write(b"220 slow.example.org\r\n")
        while line := await reader.readline():
            commands.append(line[:4].decode())
            writer.write(b"354 go on\r\n" if line[:4] == b"DATA" else b"250-first\r\n250 second\r\n")
            if line[:4] == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 ta")
                await asyncio.sleep(0.02)
                writer.write(b"ken\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_door(next_hop=f"smtp://127.0.0.1:{port}") as door:
        client = await warm(door)
        for _ in range(3):
            await client.ask("MAIL FROM:<a@doa.example.gov>")
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("DATA")
            assert await client.ask(b"x\r\n.\r\n") == "250 taken"
        assert commands.count("CONNECT") <= 2, "one to ask what it offers, and that is kept"
        client.leave()
        await until(lambda: not door.listener.connections)
    server.close()


@pytest.mark.parametrize("last", ["QUIT\r\n", "", "MAIL FROM:<a@doa.example.gov>\r\nQUIT\r\n"])
async def test_who_leaves_by_tls_leaves_no_fault_behind(
    last: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its goodbye comes together with that of TLS; a transport of TLS that is closed twice is broken."""
    certificate = make_certificate(tmp_path)
    async with open_door(tls_cert=str(certificate.certificate), tls_key=str(certificate.key)) as door:
        client = await warm(door)
        assert (await client.ask("STARTTLS")).startswith("220")
        await client.writer.start_tls(certificate.client_context(), server_hostname="localhost")
        assert (await client.ask("EHLO client.example.gov")).startswith("250")
        client.say(last)
        client.leave()
        await until(lambda: not door.listener.connections)
    assert not [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


GROUP = "MAIL FROM:<a@doa.example.gov>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n"


async def test_a_group_whose_connection_is_lost_and_whose_sender_is_refused_then() -> None:
    """The kept connection was old; the fresh one does not take the sender now."""
    sink = Sink()
    async with open_door(sink) as door:
        client = await warm(door)
        sink.at("MAIL", close(), times=1)
        sink.at("MAIL", say("450 4.7.1 not now"), times=1)
        client.say(GROUP)
        assert [reply[:3] for reply in await client.replies(4)] == ["450", "450", "450", "503"]
        client.say(GROUP)
        assert (await client.replies(4))[3].startswith("354")


async def test_a_group_of_which_each_recipient_takes_its_time() -> None:
    """The next hop has so many seconds for each reply, not for all (RFC 5321 4.5.3.2)."""
    sink = Sink()
    async with open_door(sink, next_hop_timeout="1s") as door:
        client = await warm(door)
        sink.at("RCPT", delay(0.4), times=4)
        client.say(GROUP.replace("DATA", "RCPT TO:<d@example.org>\r\nRCPT TO:<e@example.org>\r\nDATA"))
        assert (await client.replies(6))[5].startswith("354")
        assert sink.commands["RCPT"] == 5, "none was asked twice"
