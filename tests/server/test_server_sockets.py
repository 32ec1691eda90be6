"""Who is let in, how long and how much: networks, senders, caps, time, encryption, the end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import pytest

from gatekeeper.model import Transaction
from gatekeeper.ops.log import Address
from gatekeeper.server import data_intake
from gatekeeper.server.spool import Spool
from gatekeeper.smtp.replies import Reply, reply
from tests.peers.certificates import make_certificate
from tests.server.talking import PATIENCE, Client, Passer, open_door, until

TAKEN = "250 2.0.0 taken"


async def test_strangers_are_told_so_and_closed() -> None:
    async with open_door(clients="192.0.2.0/24") as door:
        assert (await (await door.silent()).rest()).startswith(b"554 5.7.1 ")
        assert door.listener.connections == 0


async def test_who_has_left_before_the_greeting_is_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Its address cannot be told any more: it is not taken for this host, which may connect."""
    caplog.set_level("INFO")
    async with open_door() as door:
        early = socket.create_connection(("127.0.0.1", door.listener.port))
        early.sendall(b"EHLO client.example.gov\r\n")
        early.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        early.close()  # before the loop has had a turn
        await until(lambda: 'connection refused client=unknown reply="554 5.7.1' in caplog.text)


async def test_a_sender_that_is_not_let_in_is_logged_as_addresses_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with open_door(sender_allowed=lambda sender, client: False) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        await client.ask("MAIL FROM:<a@example.org>")
    (record,) = (each for each in caplog.records if "sender refused" in each.getMessage())
    assert record.__dict__["fields"]["from"] == Address("a@example.org")
    assert "a@example.org" not in record.getMessage()  # which is never hashed


async def test_senders_that_are_not_let_in() -> None:
    async with open_door(sender_allowed=lambda sender, client: sender.endswith("@doa.example.gov")) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert (await client.ask("MAIL FROM:<a@example.org>")).startswith("550 5.7.1 ")
        assert (await client.ask("MAIL FROM:<>")).startswith("250 ")
        await client.ask("RSET")
        assert (await client.ask("MAIL FROM:<a@doa.example.gov>")).startswith("250 ")
        assert door.sink.commands["MAIL"] == 2


async def test_an_obstacle_is_told_at_mail() -> None:
    async with open_door(obstacle=lambda: reply(452, "storage is full", "4.3.1")) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert await client.ask("MAIL FROM:<a@doa.example.gov>") == "452 4.3.1 storage is full"


@pytest.mark.parametrize(
    ("cap", "answer"), [("max_connections", b"421 4.3.2 "), ("max_connections_per_client", b"421 4.7.0 ")]
)
async def test_connections_over_the_cap(cap: str, answer: bytes) -> None:
    async with open_door(**{cap: "2"}) as door:
        first, _ = await door.client(), await door.client()
        assert (await (await door.silent()).rest()).startswith(answer)
        await first.ask("QUIT")
        await until(lambda: door.listener.connections == 1)
        await door.client()


@pytest.mark.parametrize("pipelined", [True, False])
async def test_recipients_over_the_cap_are_for_another_transaction(pipelined: bool) -> None:
    lines = [f"RCPT TO:<u{number}@example.org>\r\n" for number in range(5)]
    async with open_door(max_recipients="3") as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        if pipelined:
            client.say("".join(lines))
            answers = await client.replies(5)
        else:
            answers = [await client.ask(line.encode()) for line in lines]
        assert [each[:9] for each in answers] == ["250 2.1.5"] * 3 + ["452 4.5.3"] * 2
        await client.ask("DATA")
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        assert len(door.sink.recipients) == 3
        assert door.sink.commands["RCPT"] == 3


async def test_commands_that_further_no_mail() -> None:
    async with open_door(max_commands="5") as door:
        client = await door.client()
        assert (await client.envelope()).startswith("354")
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        client.say("NOOP\r\n" * 7)
        answers = await client.rest()
        assert answers.count(b"250 ") == 5
        assert answers.splitlines()[-1].startswith(b"421 4.7.0 ")


async def test_what_is_no_mail_client() -> None:
    async with open_door() as door:
        client = await door.client()
        client.say("OPEN / 1.1\r\n" * 30)
        answers = (await client.rest()).splitlines()
        assert len(answers) == 11
        assert answers[-1].startswith(b"421 4.7.0 ")


async def test_a_browser_that_is_made_to_speak_smtp_sends_no_mail() -> None:
    async with open_door() as door:
        client = await door.client()
        body = "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n"
        client.say(f"POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        assert (await client.rest()).startswith(b"421 4.7.0 ")
        assert door.pipeline.seen == [] and door.sink.commands["MAIL"] == 0


async def test_many_refused_recipients_are_no_reason_to_close() -> None:
    async with open_door(max_commands="20") as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        client.say("RCPT TO:<nobody>\r\n" * 100)
        assert {each[:9] for each in await client.replies(100)} == {"501 5.1.3"}
        assert await client.ask("NOOP") == "250 2.0.0 ok"


async def test_recipients_without_a_sender_are_commands_that_further_no_mail() -> None:
    async with open_door(max_commands="20") as door:
        client = await door.client()
        client.say("RCPT TO:<a@example.org>\r\n" * 100)
        answers = (await client.rest()).splitlines()
        assert {each[:9] for each in answers[:-1]} == {b"503 5.5.1"}
        assert answers[-1].startswith(b"421 4.7.0 ")


# -- size --------------------------------------------------------------------------------------------------------


async def test_a_message_over_the_limit_is_read_to_its_end_and_refused() -> None:
    async with open_door(max_size="1000") as door:
        client = await door.client()
        await client.envelope()
        assert (await client.ask(b"x" * 500_000 + b"\r\n.\r\n")).startswith("552 5.3.4 ")
        assert (await client.ask("MAIL FROM:<a@doa.example.gov> SIZE=1001")).startswith("552 5.3.4 ")
        await client.envelope()
        assert await client.ask(b"." + b"." * 998 + b"\r\n.\r\n") == TAKEN  # 1,000 octets without the stuffing
        assert len(door.sink.mails) == 1


async def test_a_message_that_goes_round() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        assert (await client.ask(b"Received: x\r\n" * 51 + b"\r\n.\r\n")).startswith("554 5.4.6 ")
        await client.envelope()
        assert await client.ask(b"Received: x\r\n" * 50 + b"\r\n.\r\n") == TAKEN


async def test_a_message_that_finds_no_memory_is_put_off_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes on: closed before the client has sent all, it would be reset, without a reply."""
    left = [3]

    def add(spool: Spool, piece: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise MemoryError
        kept(spool, piece)

    kept = Spool.add
    monkeypatch.setattr(Spool, "add", add)
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        for _ in range(6):
            client.say(b"x" * 70 + b"\r\n.." * 1000 + b"\r\n")
            await asyncio.sleep(0.01)
        assert (await client.ask(b"\r\n.\r\n")).startswith("451 4.3.2")
        assert left[0] < 0 and door.pipeline.seen == []
        left[0] = 10
        await client.envelope()
        assert await client.ask(b"x\r\n.\r\n") == TAKEN


# -- time --------------------------------------------------------------------------------------------------------


async def test_a_client_that_says_nothing() -> None:
    async with open_door(command_timeout="100ms") as door:
        client = await door.client()
        assert (await client.rest()).startswith(b"421 4.4.2 ")
        await until(lambda: door.listener.connections == 0)


async def test_a_command_that_comes_by_and_by_has_one_deadline() -> None:
    async with open_door(command_timeout="300ms") as door:
        client = await door.client()
        sent = 0
        while door.listener.connections and sent < 10:
            client.say("N")
            await asyncio.sleep(0.1)
            sent += 1
        assert sent < 10, "it was sent away while it still sent"


async def test_each_command_has_a_deadline_of_its_own() -> None:
    async with open_door(command_timeout="300ms") as door:
        client = await door.client()
        for _ in range(6):
            client.say("NO")
            await asyncio.sleep(0.1)
            assert await client.ask("OP") == "250 2.0.0 ok"


async def test_a_client_that_pauses_in_its_message() -> None:
    async with open_door(data_timeout="100ms") as door:
        client = await door.client()
        await client.envelope()
        client.say("some of it\r\n")
        assert (await client.rest()).startswith(b"421 4.4.2 ")
        assert door.pipeline.seen == []
        assert door.sink.mails == []


async def test_a_client_that_is_slow_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_intake, "GRACE_SECONDS", 0.1)
    async with open_door(data_rate="1000000") as door:
        client = await door.client()
        await client.envelope()
        client.say("a line now\r\n")
        await asyncio.sleep(0.15)
        client.say("and then\r\n")
        assert (await client.rest()).startswith(b"421 4.4.2 ")
        assert door.pipeline.seen == []


async def test_time_that_the_pipeline_takes_is_not_the_clients() -> None:
    async def slowly(_: Transaction) -> None:
        await asyncio.sleep(0.3)

    async with open_door(pipeline=Passer(before=slowly), command_timeout="100ms", data_timeout="100ms") as door:
        client = await door.client()
        await client.envelope()
        assert await client.ask(b"x\r\n.\r\n") == TAKEN


# -- the end of the service --------------------------------------------------------------------------------------


async def test_at_the_end_the_idle_are_sent_away_and_messages_under_way_are_done() -> None:
    judged = asyncio.Event()

    async def slowly(_: Transaction) -> None:
        await judged.wait()

    async with open_door(pipeline=Passer(before=slowly)) as door:
        idle, sending, waiting = await door.client(), await door.client(), await door.client()
        await waiting.envelope()
        waiting.say(b"one\r\n.\r\n")
        await until(lambda: len(door.pipeline.seen) == 1)
        await sending.envelope()
        stopping = asyncio.create_task(door.listener.stop(5.0))
        assert (await idle.rest()).startswith(b"421 4.3.2 ")
        judged.set()
        sending.say(b"two\r\n.\r\n")
        for client in (waiting, sending):
            assert await client.reply() == TAKEN
            assert (await client.rest()).startswith(b"421 4.3.2 ")
        await stopping
        assert len(door.sink.mails) == 2


async def test_at_the_end_who_has_begun_may_send_one_message() -> None:
    """A restart costs nobody a message that is about to come: who was let in says it, then goes."""
    async with open_door() as door:
        greeted, begun, done = await door.client(), await door.client(), await door.client()
        await begun.ask("EHLO client.example.gov")
        assert (await begun.ask("MAIL FROM:<a@doa.example.gov>")).startswith("250")
        await done.envelope()
        assert await done.ask(b"one\r\n.\r\n") == TAKEN
        stopping = asyncio.create_task(door.listener.stop(5.0))
        assert (await done.rest()).startswith(b"421 4.3.2 ")
        await greeted.envelope()
        assert (await begun.ask("RCPT TO:<b@dphhs.example.gov>")).startswith("250")
        assert (await begun.ask("DATA")).startswith("354")
        for client in (greeted, begun):
            assert await client.ask(b"two\r\n.\r\n") == TAKEN
            assert (await client.rest()).startswith(b"421 4.3.2 ")
        await stopping
        assert len(door.sink.mails) == 3


async def test_at_the_end_nobody_is_taken_in_only_to_be_sent_away() -> None:
    async with open_door() as door:

        async def greeting() -> str:
            try:
                client = await door.silent()
                said = await client.reply()
            except (ConnectionResetError, ConnectionRefusedError):
                return "not taken in"  # where the socket stays, it waits there
            client.leave()
            return said[:4]

        coming = [asyncio.create_task(greeting()) for _ in range(20)]
        async with asyncio.timeout(PATIENCE):
            while not door.listener.connections:  # noqa: ASYNC110 - they come and go within a few turns of the loop
                await asyncio.sleep(0)
        stopping = asyncio.create_task(door.listener.stop(5.0))
        greetings = set(await asyncio.gather(*coming))
        assert "220 " in greetings and greetings <= {"220 ", "not taken in"}
        await stopping


async def test_a_client_that_does_not_end_is_cut_off() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        client.say("and so on\r\n")
        await door.listener.stop(0.1)
        assert await client.rest() == b""
        await until(lambda: door.listener.connections == 0)
        assert door.sink.mails == []


async def test_a_fault_of_the_pipeline_is_421_and_no_loss() -> None:
    async def fail(_: Transaction) -> Reply:
        raise RuntimeError("a fault that a test makes")

    async with open_door(pipeline=Passer(before=fail)) as door:
        client = await door.client()
        await client.envelope()
        assert (await client.ask(b"x\r\n.\r\n")).startswith("421 4.3.0 ")
        assert door.sink.mails == []


# -- encryption --------------------------------------------------------------------------------------------------


async def test_starttls_begins_anew(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with open_door(tls_cert=str(certificate.certificate), tls_key=str(certificate.key)) as door:
        client = await door.client()
        assert "250-STARTTLS" in (await client.ask("EHLO client.example.gov")).split("|")
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        await _encrypt(client, certificate.client_context())
        assert (await client.ask("MAIL FROM:<a@doa.example.gov>")).startswith("503 5.5.1 ")
        assert "STARTTLS" not in await client.ask("EHLO client.example.gov")
        assert (await client.ask("STARTTLS")).startswith("503 ")
        await client.envelope()
        assert await client.ask(b"x" * 100_000 + b"\r\n.\r\n") == TAKEN
        assert door.pipeline.seen[0].client.protocol == "ESMTPS"
        assert await client.ask("QUIT") == "221 2.0.0 bye"
        assert await client.rest() == b""


async def test_nothing_in_the_clear_is_taken_for_encrypted(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with open_door(tls_cert=str(certificate.certificate), tls_key=str(certificate.key)) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        client.say("STARTTLS\r\nMAIL FROM:<evil@doa.example.gov>\r\n")
        assert (await client.rest()).startswith(b"554 5.5.1 ")


async def test_a_handshake_that_fails_ends_the_connection(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with open_door(tls_cert=str(certificate.certificate), tls_key=str(certificate.key)) as door:
        client = await door.client()
        await client.ask("EHLO client.example.gov")
        assert (await client.ask("STARTTLS")).startswith("220")
        client.say("this is no handshake\r\n" * 10)
        await client.rest()
        await until(lambda: door.listener.connections == 0)


async def _encrypt(client: Client, context: ssl.SSLContext) -> None:
    assert (await client.ask("STARTTLS")).startswith("220 ")
    await client.writer.start_tls(context, server_hostname="localhost")
