"""The mark on all mail that goes to the next hop, of a secret that is replaced now and then."""

from __future__ import annotations

import pytest

from gatekeeper import settings
from gatekeeper.delivery import NextHop
from gatekeeper.delivery.mark import Mark
from gatekeeper.settings import MarkFile, SettingsError, read_settings
from tests.delivery.conftest import CONTENT, people
from tests.peers.sink import Sink

FIRST, SECOND, THIRD = "first-secret-of-ours", "second-secret-of-ours", "third-secret-of-ours"


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "mark"
    file.write_text(f"{FIRST}\n")
    return file


def test_the_first_is_written_and_both_are_known(file):
    mark = Mark(MarkFile("X-Gate-Mark", file))
    assert mark.field() == f"X-Gate-Mark: {FIRST}\r\n".encode()
    file.write_text(f"{SECOND}\n{FIRST}\n")
    assert mark.field() == f"X-Gate-Mark: {SECOND}\r\n".encode()
    for known in (FIRST, SECOND):
        assert mark.is_in(f"Subject: x\r\nx-gate-mark: {known}\r\n\r\nhello\r\n".encode())
    for other in (f"X-Gate-Mark: {THIRD}\r\n\r\n", f"X-Other: {FIRST}\r\n\r\n", f"\r\n\r\nX-Gate-Mark: {FIRST}\r\n"):
        assert not mark.is_in(f"Subject: x\r\n{other}".encode())
    assert not mark.is_in(f"\r\n\r\nX-Gate-Mark: {FIRST}\r\n\r\n".encode()), "a text behind no header at all"


def test_a_file_that_is_being_written_leaves_the_secret_before(file, caplog):
    mark = Mark(MarkFile("X-Gate-Mark", file))
    file.write_text("short\n")
    assert mark.field() == f"X-Gate-Mark: {FIRST}\r\n".encode()
    file.unlink()
    assert mark.field() == f"X-Gate-Mark: {FIRST}\r\n".encode()
    file.write_text(f"{SECOND}\n")
    assert mark.field() == f"X-Gate-Mark: {SECOND}\r\n".encode()
    assert FIRST not in caplog.text and "short" not in caplog.text


@pytest.mark.parametrize("text", ["", "short\n", f"{FIRST} {SECOND} {THIRD}\n", f"{FIRST}:\n", "with späce-secrets-in"])
def test_what_is_no_secret(file, text):
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"--mark: .*expected one or two lines") as error:
        Mark(MarkFile("X-Gate-Mark", file))
    assert FIRST not in str(error.value)


@pytest.mark.parametrize("text", ["X-Gate-Mark", "From=/x", "X-MS-Exchange-Organization-SCL=/x", "X-A B=/x", "X-=/x"])
def test_what_is_no_mark(text):
    with pytest.raises(SettingsError, match=r"--mark: .*expected FIELD=FILE"):
        read_settings({"next_hop": "smtp://localhost", "mark": text}, {})


async def test_all_that_goes_to_the_next_hop_has_it(file, tmp_path):
    async with Sink() as sink:
        route = f"smtp://127.0.0.1:{sink.port}"
        hop = NextHop(settings.NextHopSettings(route, 5.0, 30.0, "gate.example.gov", MarkFile("X-Gate-Mark", file)))
        for content in (CONTENT, [b"Received: x\r\n", CONTENT]):
            await hop.deliver("news@example.gov", (), people("a"), content)
        await hop.close()
        mark = f"X-Gate-Mark: {FIRST}\r\n".encode()
        assert [mail.content for mail in sink.mails] == [mark + CONTENT, mark + b"Received: x\r\n" + CONTENT]
