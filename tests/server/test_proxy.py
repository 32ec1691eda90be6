"""What the next hop sees of a client, and the client of the next hop."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from itertools import pairwise

import pytest

from gatekeeper.model import Client as ModelClient
from gatekeeper.model import Recipient, Transaction
from gatekeeper.smtp.data import ContentReader
from gatekeeper.smtp.replies import Reply, reply
from tests.peers.sink import Sink, close, delay, drop, hang, say
from tests.server.talking import Client, Passer, open_door, until

TAKEN = "250 2.0.0 taken"


async def hello(client: Client) -> None:
    assert (await client.ask("EHLO client.example.gov")).startswith("250")


async def test_bytes_and_parameters_go_on_as_they_came() -> None:
    content = b"Subject: \xfc\r\n\r\n..two\r\n.\xff dot\r\n" + b"x" * 300_000 + b"\r\n\r\n"
    async with open_door(pipeline=Passer(added=b"X-Added: 1\r\n")) as door:
        client = await door.client()
        await hello(client)
        await client.ask("MAIL FROM:<a@doa.example.gov> BODY=8BITMIME RET=HDRS ENVID=QQ1 SIZE=400000")
        await client.ask("RCPT TO:<b@example.org> NOTIFY=NEVER ORCPT=rfc822;x@example.org")
        await client.ask("DATA")
        assert await client.ask(content.replace(b"\r\n.", b"\r\n..") + b".\r\n") == TAKEN
        mail, seen = door.sink.mails[0], door.pipeline.seen[0]
    assert mail.content == b"X-Added: 1\r\n" + content
    assert seen.content == content
    assert mail.mail_parameters == ("BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1", "SIZE=400000")
    assert seen.parameters == ("BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1")  # the size is no part of the envelope
    expected = Recipient("b@example.org", ("NOTIFY=NEVER", "ORCPT=rfc822;x@example.org"))
    assert seen.recipients == (expected,)
    assert mail.recipients == [(expected.address, expected.parameters)]


async def test_pipelined_recipients_go_on_in_few_writes_and_are_answered_in_order() -> None:
    names = [f"u{number}@example.org" for number in range(500)]
    refuse = {name: f"550 5.1.1 {name} unknown" for name in names[::7]}
    async with open_door(Sink(refuse=refuse)) as door:
        client = await door.client()
        await hello(client)
        before = len(door.sink.chunks)
        client.say(
            "MAIL FROM:<a@doa.example.gov>\r\n" + "".join(f"RCPT TO:<{name}>\r\n" for name in names) + "DATA\r\n"
        )
        answers = await client.replies(502)
        assert len(door.sink.chunks) - before <= 3
        assert await client.ask(b"x\r\n.\r\n") == TAKEN
        taken = [name for name in names if name not in refuse]
        assert door.sink.recipients == taken
        assert [each.address for each in door.pipeline.seen[0].recipients] == taken
    assert answers[1:-1] == [refuse.get(name, "250 2.1.5 ok") for name in names]
    assert answers[-1].startswith("354")


async def test_our_refusals_stand_in_their_places_among_the_next_hops() -> None:
    lines = ["RCPT TO:<a@b.c>", "RCPT TO:<broken", "RCPT TO:<gone@b.c>", "RCPT TO:<d@b.c> FOO=1", "RCPT TO:<e@b.c>"]
    async with open_door(Sink(refuse={"gone@b.c": "550 5.1.1 gone"})) as door:
        client = await door.client()
        await hello(client)
        client.say("\r\n".join(["MAIL FROM:<a@doa.example.gov>", *lines]) + "\r\n")
        assert [each[:9] for each in await client.replies(6)] == [
            "250 2.1.0", "250 2.1.5", "501 5.1.3", "550 5.1.1", "555 5.5.4", "250 2.1.5",
        ]  # fmt: skip


async def test_a_refused_mail_is_mirrored_and_what_was_pipelined_behind_it_refused() -> None:
    async with open_door() as door:
        door.sink.at("MAIL", say("552 5.3.4 too large for me"), times=2)
        client = await door.client()
        await hello(client)
        assert await client.ask("MAIL FROM:<a@doa.example.gov>") == "552 5.3.4 too large for me"
        client.say("MAIL FROM:<a@doa.example.gov>\r\nRCPT TO:<b@b.c>\r\nRCPT TO:<c@b.c>\r\nDATA\r\n")
        assert [each[:9] for each in await client.replies(4)] == ["552 5.3.4", "503 5.5.1", "503 5.5.1", "503 5.5.1"]
        assert (await client.envelope()).startswith("354")


async def test_the_final_reply_is_the_next_hops() -> None:
    async with open_door() as door:
        door.sink.at("DOT", say("554 5.6.0 not this one"), times=1)
        client = await door.client()
        await client.envelope()
        assert await client.ask(b"x\r\n.\r\n") == "554 5.6.0 not this one"
        await client.envelope()
        assert await client.ask(b"x\r\n.\r\n") == TAKEN


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_a_next_hop_that_goes_is_451(verb: str) -> None:
    async with open_door() as door:
        door.sink.at(verb, close())
        client = await door.client()
        await hello(client)
        answers = [await client.ask("MAIL FROM:<a@doa.example.gov>")]
        answers += [await client.ask("RCPT TO:<b@example.org>")]
        if verb == "DATA":
            assert (await client.ask("DATA")).startswith("354")
            answers = [await client.ask(b"x\r\n.\r\n")]
        assert any(answer.startswith("451 4.4.1 ") for answer in answers)
        assert door.sink.mails == []


async def test_a_next_hop_lost_after_the_dot_is_never_a_250() -> None:
    async with open_door() as door:
        door.sink.at("DOT", drop())
        client = await door.client()
        await client.envelope()
        assert (await client.ask(b"x\r\n.\r\n")).startswith("451 4.4.2 ")
        assert len(door.sink.mails) == 1


async def test_before_a_queue_the_reply_comes_while_postfix_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the next hop says later: Postfix has given up by then, and its client is to hear that nobody knows."""
    monkeypatch.setattr("gatekeeper.server.smtp_server.BEFORE_QUEUE_SECONDS", 0.2)
    async with open_door(listen="127.0.0.1:0,before-queue") as door:
        door.sink.at("DOT", delay(1.0), times=1)
        client = await door.client()
        await client.envelope()
        assert (await client.ask(b"text\r\n.\r\n")).startswith("451 4.4.2 ")
        assert door.pipeline.answers == []  # still at work
        await until(lambda: bool(door.pipeline.answers))
        assert door.pipeline.answers[0].ok and len(door.sink.mails) == 1
        await client.envelope()
        assert await client.ask(b"text\r\n.\r\n") == "250 2.0.0 taken"


async def test_elsewhere_the_reply_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatekeeper.server.smtp_server.BEFORE_QUEUE_SECONDS", 0.2)
    async with open_door() as door:
        door.sink.at("DOT", delay(0.6))
        client = await door.client()
        await client.envelope()
        assert await client.ask(b"text\r\n.\r\n") == "250 2.0.0 taken"


async def test_what_the_pipeline_keeps_or_refuses_reaches_no_data() -> None:
    async def refuse(_: Transaction) -> Reply:
        return reply(550, "Not sent.", "5.7.1")

    async with open_door(pipeline=Passer(before=refuse)) as door:
        client = await door.client()
        await client.envelope()
        assert await client.ask(b"x\r\n.\r\n") == "550 5.7.1 Not sent."
        await client.envelope()
        assert door.sink.commands["DATA"] == 0
        assert door.sink.connections == 1  # abandoned in order: the connection is kept


# -- clients that leave ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["close", "half-close", "reset"])
async def test_a_client_that_leaves_after_the_dot_leaves_its_message(way: str) -> None:
    judged = asyncio.Event()

    async def slowly(_: Transaction) -> None:
        await judged.wait()

    async with open_door(pipeline=Passer(before=slowly)) as door:
        client = await door.client()
        await client.envelope()
        client.say(b"x\r\n.\r\n")
        await client.writer.drain()
        await until(lambda: bool(door.pipeline.seen))
        match way:
            case "close":
                client.leave()
            case "reset":
                client.reset()
            case _:
                client.writer.write_eof()
        await asyncio.sleep(0.05)
        judged.set()
        await until(lambda: bool(door.pipeline.answers))
        assert door.pipeline.answers[0].ok
        assert len(door.sink.mails) == 1
        if way == "half-close":
            assert await client.rest() == TAKEN.encode() + b"\r\n"
        await until(lambda: door.listener.connections == 0)


async def test_what_is_sent_before_a_half_close_is_done_and_answered() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        client.say(b"x\r\n.\r\nQUIT\r\n")
        client.writer.write_eof()
        assert (await client.rest()).splitlines() == [TAKEN.encode(), b"221 2.0.0 bye"]


@pytest.mark.parametrize("said", [b"", b"half a mess", b"line\r\n", b"line\r\n.", b"line\r\n.\r"])
async def test_a_client_that_leaves_before_the_dot_leaves_nothing(said: bytes) -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        client.say(said)
        client.writer.write_eof()
        assert await client.rest() == b""
        await until(lambda: door.sink.commands["RSET"] + (1 - door.sink.open_connections) > 0)
        assert door.pipeline.seen == []
        assert door.sink.mails == []


async def test_a_client_that_leaves_while_the_next_hop_thinks_leaves_no_connection() -> None:
    async with open_door() as door:
        door.sink.at("RCPT", hang())
        client = await door.client()
        await hello(client)
        await client.ask("MAIL FROM:<a@doa.example.gov>")
        client.say("RCPT TO:<b@example.org>\r\n")
        await until(lambda: door.sink.commands["RCPT"] == 1)
        client.reset()
        await until(lambda: door.listener.connections == 0 and door.sink.open_connections == 0)


# -- for whom a peer speaks --------------------------------------------------------------------------------------

FORWARDED = "XFORWARD NAME=pc.example.gov ADDR=203.0.113.9 PORT=4000 PROTO=ESMTPS HELO=pc IDENT=4XyZ"


async def passed(client: Client) -> None:
    assert (await client.ask("MAIL FROM:<a@doa.example.gov>")).startswith("250")
    await client.ask("RCPT TO:<b@example.org>")
    await client.ask("DATA")
    assert await client.ask(b"x\r\n.\r\n") == TAKEN


async def test_xforward_describes_one_transaction() -> None:
    async with open_door() as door:
        client = await door.client()
        await hello(client)
        assert await client.ask(FORWARDED) == "250 2.0.0 ok"
        await passed(client)
        await passed(client)
        first, second = door.pipeline.seen
    assert first.client == ModelClient("203.0.113.9", "pc.example.gov", "pc", 4000, "ESMTPS")
    assert (first.upstream, first.authenticated) == ("4XyZ@127.0.0.1", False)
    assert (second.client.address, second.client.helo) == ("127.0.0.1", "client.example.gov")
    assert (second.upstream, second.authenticated) == (None, True)


async def test_xclient_speaks_for_another_until_the_end() -> None:
    async with open_door(xclient="127.0.0.1", authenticated="none") as door:
        client = await door.client()
        await hello(client)
        attributes = "ADDR=IPV6:2001:db8::1 NAME=web.example.gov LOGIN=head@doa.example.gov HELO=browser"
        assert (await client.ask(f"XCLIENT {attributes}")).startswith("220 gate")
        await hello(client)
        await passed(client)
        await passed(client)
        for seen in door.pipeline.seen:
            assert (seen.client.address, seen.client.name, seen.client.helo) == (
                "2001:db8::1",
                "web.example.gov",
                "browser",
            )
            assert (seen.login, seen.authenticated) == ("head@doa.example.gov", True)


async def test_others_may_not_speak_for_anybody() -> None:
    async with open_door(xforward="192.0.2.0/24", authenticated="192.0.2.0/24") as door:
        client = await door.client()
        assert "XFORWARD" not in await client.ask("EHLO client.example.gov")
        assert (await client.ask(FORWARDED)).startswith("550 5.7.0 ")
        assert (await client.ask("XCLIENT ADDR=192.0.2.1")).startswith("550 5.7.0 ")
        await passed(client)
        assert door.pipeline.seen[0].client.address == "127.0.0.1"
        assert not door.pipeline.seen[0].authenticated


async def test_only_what_the_next_hop_offers_is_offered() -> None:
    async with open_door(Sink(offers=["PIPELINING", "SIZE 1000", "CHUNKING", "AUTH PLAIN"])) as door:
        client = await door.client()
        offered = (await client.ask("EHLO client.example.gov")).split("|")[1:]
        assert [each[4:].split()[0] for each in offered] == ["PIPELINING", "SIZE", "XFORWARD"]
        assert "250-SIZE 1000" in offered
        assert (await client.ask("MAIL FROM:<a@b.c> BODY=8BITMIME")).startswith("555 5.5.4 ")
        assert (await client.ask("MAIL FROM:<a@b.c> SIZE=1001")).startswith("552 5.3.4 ")


# -- much at once ------------------------------------------------------------------------------------------------


LINE = b"." + b"x" * 75 + b"\r\n"
LARGE = LINE * (30_000_000 // len(LINE))
STUFFED = b"." + LARGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"


async def keep(_: Transaction) -> Reply:
    return reply(250, "kept", "2.0.0")


async def send_large(client: Client) -> None:
    await client.envelope()
    for start in range(0, len(STUFFED), 65_536):
        client.say(STUFFED[start : start + 65_536])
        await client.writer.drain()
    assert await client.reply() == "250 2.0.0 kept"


async def test_a_large_message_takes_less_memory_than_four_of_it() -> None:
    async with open_door(pipeline=Passer(before=keep)) as door:
        client = await door.client()
        tracemalloc.start()
        await send_large(client)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert door.pipeline.seen[0].content == LARGE
        assert peak < 4 * len(LARGE)


async def longest_pause(stop: asyncio.Event) -> float:
    """The longest that the loop did not come round, in seconds."""
    ticks = [time.perf_counter()]
    while not stop.is_set():
        await asyncio.sleep(0.001)
        ticks.append(time.perf_counter())
    return max(later - earlier for earlier, later in pairwise(ticks))


async def pause_in_large(client: Client) -> float:
    stop = asyncio.Event()
    pauses = asyncio.create_task(longest_pause(stop))
    await send_large(client)
    stop.set()
    return await pauses


def seconds_in_one_go() -> float:
    began = time.perf_counter()
    reader = ContentReader(len(STUFFED))
    reader.feed(STUFFED)
    reader.content()
    return time.perf_counter() - began


async def test_a_large_message_does_not_hold_up_the_loop() -> None:
    async with open_door(pipeline=Passer(before=keep)) as door:
        client = await door.client()
        pauses = [await pause_in_large(client) for _ in range(3)]
        # other work of the machine only adds to a pause; the least of a few is ours
        assert min(pauses) < seconds_in_one_go() / 2
