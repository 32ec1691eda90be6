"""A folder as next hop."""

import asyncio
import os

from gatekeeper.delivery import Result
from tests.delivery.conftest import CONTENT, people

TRACE = b"Return-Path: <news@example.gov>\r\nX-Original-To: a@example.org\r\nX-Original-To: b@example.org\r\n"


def files(folder):
    return [path.read_bytes() for path in sorted((folder / "new").iterdir())]


async def test_a_message_is_a_file(hop_to, tmp_path):
    hop = hop_to(f"maildir:{tmp_path}/mail")
    answers, final = await hop.send(people("a", "b"))
    assert [answer.code for answer in answers] == [250, 250] and final.code == 250
    assert files(tmp_path / "mail") == [TRACE + CONTENT]
    assert list((tmp_path / "mail" / "tmp").iterdir()) == []
    assert {part.name for part in (tmp_path / "mail").iterdir()} == {"tmp", "new", "cur"}


async def test_many_at_once_are_as_many_files(hop_to, tmp_path):
    hop = hop_to(f"maildir:{tmp_path}")
    await asyncio.gather(*(hop.send(people(number)) for number in range(50)))
    assert len(files(tmp_path)) == 50


async def test_an_abandoned_one_is_none(hop_to, tmp_path):
    transaction = await hop_to(f"maildir:{tmp_path}").begin()
    assert (await transaction.open()).ok
    await transaction.recipients(people("a"))
    await transaction.abandon()
    assert (await transaction.data(CONTENT)).code == 554
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_452(hop_to, tmp_path):
    (tmp_path / "mail").write_text("a file")
    hop = hop_to(f"maildir:{tmp_path}/mail")
    _, final = await hop.send()
    assert (final.code, final.enhanced) == (452, "4.3.1")
    assert hop.errors["storage"] == 1


async def test_a_full_disk_leaves_nothing_half_written(hop_to, tmp_path):
    hop = hop_to(f"maildir:{tmp_path}")
    await hop.send()
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        _, final = await hop.send(content=b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert final.code == 452
    assert os.listdir(tmp_path / "tmp") == [] and len(files(tmp_path)) == 1


async def test_kept_mail_and_offers(hop_to, tmp_path):
    hop = hop_to(f"maildir:{tmp_path}")
    these = await hop.next_hop.deliver("news@example.gov", (), people("a"), CONTENT)
    assert [each.result for each in these] == [Result.DELIVERED]
    assert "8BITMIME" in await hop.next_hop.extensions()


async def test_who_has_left_is_told_no_more(hop_to, tmp_path):
    transaction, answers = hop_to(f"maildir:{tmp_path}").next_hop.begin("news@example.gov", (), None), []
    transaction.ask(people("a"), answers.append)
    await transaction.abandon()
    await asyncio.sleep(0.01)
    assert answers == []
