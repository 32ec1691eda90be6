"""Large messages: what comes out is what came in, wherever it was meanwhile, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.lib.allowance import Allowance
from gatekeeper.model import Transaction
from gatekeeper.server import spool
from gatekeeper.server.spool import ContentSpool, Spool
from gatekeeper.smtp.data import ContentReader
from gatekeeper.smtp.replies import Reply
from tests.server.talking import PATIENCE, Client, Door, Passer, open_door, until
from tests.server.test_milter import open_stand

MEGABYTE = 1 << 20
LINE = b"0123456789abcde." * 4 + b"\r\n"
END = b".\r\n"


def large(number: int = 0, octets: int = 2 * MEGABYTE) -> bytes:
    """A message of about so many octets, another for each number."""
    return b"Subject: large %d\r\n\r\n" % number + LINE * (octets // len(LINE))


def contents_of(door: Door) -> ContentSpool:
    return door.listener._server.contents


def is_empty(contents: ContentSpool) -> bool:
    return not (contents.arriving.taken or contents.judged.taken or contents.on_disk)


def unnamed_files() -> int:
    """Open files of this process that no folder names any more."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).endswith(" (deleted)") for link in links if os.path.lexists(link))


@pytest.fixture(autouse=True)
async def no_file_is_left() -> AsyncIterator[None]:
    before = unnamed_files()
    yield
    await until(lambda: unnamed_files() <= before)


async def send(client: Client, content: bytes) -> str:
    assert (await client.envelope()).startswith("354")
    client.say(content + END)
    return await client.reply()


async def sent_at_once(door: Door, count: int) -> list[str]:
    clients = [await door.client() for _ in range(count)]
    return await asyncio.gather(*(send(client, large(number)) for number, client in enumerate(clients)))


# -- what comes out is what came in --------------------------------------------------------------------------------

texts = st.lists(st.sampled_from([b"text", b"..", b"\r\n", b"\r\n..", b"x" * 40]), max_size=30).map(b"".join)
cuts = st.lists(st.integers(0, 300), max_size=12)


async def read(stream: bytes, at: list[int], contents: ContentSpool) -> bytes | None:
    """Feed a stream, cut at these places, with turns of the loop between."""
    kept = contents.spool()
    reader = ContentReader(1 << 20, kept)
    places = sorted({min(place, len(stream)) for place in at} | {0, len(stream)})
    for start, end in itertools.pairwise(places):
        assert (reader.feed(stream[start:end]) is not None) == (end == len(stream))
        if start % 2:
            await asyncio.sleep(0.001 if start % 3 else 0)
    assert reader.fault is None and len(kept) == reader.size
    content = await kept.whole()
    kept.clear()
    return content


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(texts, cuts), min_size=1, max_size=3), st.integers(0, 200), st.integers(0, 100))
def test_content_in_any_cut_is_what_comes_out(messages: list[tuple[bytes, list[int]]], memory: int, small: int) -> None:
    async def read_all() -> None:
        contents = ContentSpool(memory, small=small)
        plain = [
            text.replace(b"\r\n..", b"\r\n.").removeprefix(b".")
            if text[:1] == b"."
            else text.replace(b"\r\n..", b"\r\n.")
            for text, _ in messages
        ]
        streams = [text + b"\r\n.\r\n" for text, _ in messages]
        found = await asyncio.gather(
            *(read(stream, at, contents) for stream, (_, at) in zip(streams, messages, strict=True))
        )
        assert found == [each + b"\r\n" for each in plain]
        assert is_empty(contents)

    asyncio.run(asyncio.wait_for(read_all(), PATIENCE))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=12), st.integers(0, 50))
def test_an_allowance_is_never_exceeded_but_by_one_alone_and_all_of_it_comes_back(
    wanted: list[tuple[int, bool]], whole: int
) -> None:
    async def use() -> None:
        allowance, inside, served = Allowance(whole), [], []

        async def one(number: int, octets: int) -> None:
            await allowance.take(octets)
            inside.append(octets)
            served.append(number)
            try:
                assert sum(inside) <= allowance.taken and (allowance.taken <= whole or len(inside) == 1)
                await asyncio.sleep(0)
            finally:
                inside.remove(octets)
                allowance.give_back(octets)

        tasks = [asyncio.create_task(one(number, octets)) for number, (octets, _) in enumerate(wanted)]
        await asyncio.sleep(0)
        for task, (_, leaves) in zip(tasks, wanted, strict=True):
            if leaves:
                task.cancel()
            await asyncio.sleep(0)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert served == sorted(served)
        assert allowance.taken == 0 and allowance.take_now(whole)

    asyncio.run(asyncio.wait_for(use(), PATIENCE))


async def test_room_that_comes_as_its_waiter_gives_up_is_given_back() -> None:
    allowance = Allowance(10)
    assert allowance.take_now(10) and not allowance.take_now(1)
    waiter = asyncio.create_task(allowance.take(5))
    await asyncio.sleep(0)
    allowance.give_back(10)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert allowance.taken == 0


# -- through the listener ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["0", "3MB", "64MB"])
async def test_many_at_once_arrive_byte_for_byte(memory: str) -> None:
    async with open_door(memory_for_content=memory) as door:
        replies = await sent_at_once(door, 5)
        assert {reply[:3] for reply in replies} == {"250"}
        assert sorted(mail.content for mail in door.sink.mails) == sorted(large(number) for number in range(5))
        await until(lambda: is_empty(contents_of(door)))


async def test_no_more_is_judged_at_once_than_there_is_room_for() -> None:
    at_once: list[int] = []
    sizes: set[int] = set()

    async def judged(transaction: Transaction) -> Reply | None:
        at_once.append(contents_of(door).judged.taken)
        sizes.add(len(transaction.content))
        await asyncio.sleep(0.01)
        return None

    async with open_door(pipeline=Passer(before=judged), memory_for_content="5MB") as door:
        assert {reply[:3] for reply in await sent_at_once(door, 6)} == {"250"}
    assert max(at_once) <= 5 * MEGABYTE and min(at_once) >= min(sizes)


async def test_who_sends_slowly_does_not_hold_what_others_need() -> None:
    async with open_door(memory_for_content="1MB") as door:
        slow, contents = await door.client(), contents_of(door)
        await slow.envelope()
        slow.say(large(7))
        await until(lambda: contents.arriving.taken > 0 or contents.on_disk > 0)
        assert {reply[:3] for reply in await sent_at_once(door, 2)} == {"250"}
        assert (await slow.ask(END)).startswith("250")
        assert large(7) in [mail.content for mail in door.sink.mails]


async def test_who_leaves_in_the_midst_leaves_nothing_behind() -> None:
    async with open_door(memory_for_content="1MB") as door:
        contents = contents_of(door)
        for leave in (Client.leave, Client.reset):
            for octets in (3 * MEGABYTE, 3 * MEGABYTE // 2):
                client = await door.client()
                await client.envelope()
                client.say(large(octets=octets))
                await until(lambda: not is_empty(contents))
                leave(client)
                await until(lambda: is_empty(contents))
        assert not door.sink.mails


async def test_what_is_refused_leaves_nothing_behind() -> None:
    async with open_door(memory_for_content="0", max_size="4MB") as door:
        client = await door.client()
        assert (await send(client, large(octets=6 * MEGABYTE))).startswith("552")
        assert (await send(await door.client(), large() + b"bare\n\r\n")).startswith("550 5.5.2")
        assert (await send(client, b"Received: x\r\n" * 51 + large())).startswith("554 5.4.6")
        await until(lambda: is_empty(contents_of(door)))
        assert (await send(client, large())).startswith("250")


async def test_room_is_kept_for_a_message_that_is_judged_when_its_client_has_left() -> None:
    go_on = asyncio.Event()

    async def judged(transaction: Transaction) -> Reply | None:
        await go_on.wait()
        return None

    async with open_door(pipeline=Passer(before=judged), memory_for_content="1MB") as door:
        contents, client, waiting = contents_of(door), await door.client(), await door.client()
        await client.envelope()
        client.say(large() + END)
        await until(lambda: len(door.pipeline.seen) == 1)
        await waiting.envelope()
        waiting.say(large(1) + END)
        await until(lambda: contents.on_disk > 0)
        client.reset()
        waiting.reset()  # its turn never comes
        await until(lambda: contents.on_disk == 0 and contents.arriving.taken == 0)
        assert contents.judged.taken == len(large())
        go_on.set()
        await until(lambda: is_empty(contents))
        assert [mail.content for mail in door.sink.mails] == [large()]


async def test_before_a_queue_the_time_runs_from_the_dot() -> None:
    go_on = asyncio.Event()

    async def judged(transaction: Transaction) -> Reply | None:
        await go_on.wait()
        return None

    async with open_door(
        pipeline=Passer(before=judged), memory_for_content="1MB", listen="127.0.0.1:0,before-queue"
    ) as door:
        door.listener._server.answer_within = 0.5
        first, second = await door.client(), await door.client()
        assert (await first.envelope()).startswith("354")
        first.say(large() + END)
        await until(lambda: len(door.pipeline.seen) == 1)
        assert (await send(second, large(1))).startswith("451 4.3.2 Not sent yet: too many large messages")
        assert (await first.reply()).startswith("451 4.4.2 No answer yet")
        go_on.set()
        await until(lambda: is_empty(contents_of(door)))
        door.listener._server.answer_within = PATIENCE
        assert (await send(second, large(2))).startswith("250")
        assert [mail.content for mail in door.sink.mails] == [large(), large(2)]


# -- the disk --------------------------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_without_room_on_the_disk_a_message_is_put_off_and_the_next_one_passes() -> None:
    async with open_door(memory_for_content="0") as door:
        client = await door.client()
        with files_of_at_most(2 * MEGABYTE):
            answer = await send(client, large(octets=5 * MEGABYTE))
        assert answer.startswith("452 4.3.1 Not sent yet: the mail gate's storage is full")
        await until(lambda: is_empty(contents_of(door)))
        assert (await send(client, large(1))).startswith("250")
        assert [mail.content for mail in door.sink.mails] == [large(1)]


async def test_without_a_folder_for_it_a_message_is_put_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_door(memory_for_content="0") as door:
        client = await door.client()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        assert (await send(client, large())).startswith("452 4.3.1")
        monkeypatch.undo()
        assert (await send(client, large(1))).startswith("250")


@asynccontextmanager
async def slow_disk(contents: ContentSpool) -> AsyncIterator[None]:
    """Nothing is written while it lasts."""
    go_on = threading.Event()
    contents._thread.submit(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


async def test_a_client_that_is_faster_than_the_disk_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    spools: list[Spool] = []
    make = ContentSpool.spool
    monkeypatch.setattr(ContentSpool, "spool", lambda *args: spools.append(make(*args)) or spools[-1])
    content = large(octets=24 * MEGABYTE)
    async with open_door(memory_for_content="0", data_timeout="1s") as door:
        client = await door.client()
        async with slow_disk(contents_of(door)):
            await client.envelope()
            client.say(content + END)
            await until(lambda: bool(spools) and spools[-1]._holds)
            await asyncio.sleep(1.5)  # the client's time stands still meanwhile
            assert len(spools[-1]) < 3 * MEGABYTE
        assert (await client.reply()).startswith("250")
        assert [mail.content for mail in door.sink.mails] == [content]
        assert is_empty(contents_of(door))


# -- by a milter -----------------------------------------------------------------------------------------------------


async def test_a_milter_keeps_large_messages_the_same_way() -> None:
    async with open_stand(memory_for_content="2MB") as stand:
        answers = await asyncio.gather(*(stand.send(large(number)) for number in range(4)))
        assert [answer.verdict for answer in answers] == ["accept"] * 4
        found = sorted(each.content for each in stand.pipeline.seen)
        assert found == sorted(large(number) for number in range(4))
        with files_of_at_most(2 * MEGABYTE):
            answer = await stand.send(large(octets=9 * MEGABYTE))
        assert answer.verdict.startswith("452 4.3.1")
        await until(lambda: is_empty(stand.listener._contents))


async def test_who_waits_too_long_for_a_turn_is_put_off_by_either_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()

    async def judged(transaction: Transaction) -> Reply | None:
        await go_on.wait()
        return None

    monkeypatch.setattr(spool, "LONGEST_WAIT", 0.1)
    async with open_stand(Passer(before=judged), memory_for_content="1MB") as stand, open_door() as door:
        door.listener._server.contents = contents = stand.listener._contents
        first = asyncio.create_task(stand.send(large()))
        await until(lambda: bool(stand.pipeline.seen))
        assert (await stand.send(large(1))).verdict.startswith("451 4.3.2")
        client = await door.client()
        assert (await send(client, large(2))).startswith("451 4.3.2")
        go_on.set()
        assert (await first).verdict == "accept"
        await until(lambda: is_empty(contents))
        assert (await send(client, large(3))).startswith("250")


@pytest.mark.parametrize("command", ["A", "H", ""])  # ABORT, HELO, and none: it hangs up
async def test_an_mta_that_breaks_off_leaves_nothing_behind(command: str) -> None:
    async with open_stand(memory_for_content="0") as stand:
        contents, mta = stand.listener._contents, await asyncio.to_thread(stand.client)

        def begin() -> None:
            mta.connect()
            mta.envelope("clerk@doa.example.gov", ["b@example.org"])
            mta.content(large())
            mta.flush()

        await asyncio.to_thread(begin)
        await until(lambda: contents.on_disk > 0)
        if command:
            mta.say(command, b"client.example.gov\0" if command == "H" else b"")
            await until(lambda: is_empty(contents))
        mta.close()
        await until(lambda: is_empty(contents))
