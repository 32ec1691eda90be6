"""Fields that are the gate's own: those of mail that comes in do not go on, by either listener."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.message.own_token import token_field
from tests.server.talking import open_door
from tests.server.test_milter import open_stand

SECRET = "a-secret-of-the-gate"
FORGED = f"X-Gate-Mark: {SECRET}\r\nx-gate-mark : other\r\n".encode() + token_field("a" * 200)
CONTENT = b"From: clerk@doa.example.gov\r\nSubject: one\r\n\r\nX-Gate-Mark: hello\r\n"


@pytest.fixture
def mark(tmp_path: Path) -> str:
    (tmp_path / "mark").write_text(f"{SECRET}\n")
    return f"X-Gate-Mark={tmp_path}/mark"


async def test_by_smtp(mark: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_door(mark=mark) as door:
        client = await door.client()
        await client.envelope()
        assert (await client.ask(FORGED + CONTENT + b".\r\n")).startswith("250 ")
        assert door.sink.mails[0].content == f"X-Gate-Mark: {SECRET}\r\n".encode() + CONTENT
        assert door.pipeline.seen[0].content == FORGED + CONTENT, "what is judged and kept is what came in"


async def test_by_milter(mark: str) -> None:
    async with open_stand(mark=mark) as stand:
        answer = await stand.send(FORGED + CONTENT)
        assert answer.added == [("X-Gate-Mark", f" {SECRET}")]
        removed = [("X-Gate-Mark", 2), ("X-Gate-Mark", 1), ("X-Gatekeeper-Released", 1)]
        assert sorted(answer.removed) == sorted(removed)
        assert [number for name, number in answer.removed if name == "X-Gate-Mark"] == [2, 1]
        assert (await stand.send(CONTENT)).removed == []


async def test_without_a_mark_nothing_is_changed() -> None:
    async with open_door() as door:
        client = await door.client()
        await client.envelope()
        assert (await client.ask(FORGED + CONTENT + b".\r\n")).startswith("250 ")
        assert door.sink.mails[0].content == FORGED + CONTENT
