"""Dialogs: C: is what the client says, S: what it must be answered (* matches any rest), END that the listener closes.

An S: line that ends "-*" stands for that line and the rest of the same reply.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.sink import Sink
from tests.server.talking import Client, open_door

DIALOGS = {path.name: path.read_text() for path in sorted(Path(__file__).parent.glob("*.txt"))}


@pytest.mark.parametrize("name", DIALOGS)
async def test_dialog(name: str) -> None:
    sink = Sink(refuse={"gone@example.org": "550 5.1.1 no such user"})
    async with open_door(sink, xclient="127.0.0.1") as door:
        client = await door.silent()
        for number, step in enumerate(DIALOGS[name].splitlines(), start=1):
            await follow(client, step, f"{name}:{number}")


async def follow(client: Client, step: str, place: str) -> None:
    if step.startswith("C:"):
        client.say(step[2:].removeprefix(" ") + "\r\n")
    elif step == "END":
        assert await client.rest() == b"", place
    elif step.startswith("S:"):
        await expect(client, step[3:], place)


async def expect(client: Client, expected: str, place: str) -> None:
    if expected.endswith("-*"):
        assert (await client.reply()).startswith(expected[:-1]), place
        return
    line = await client.line()
    fits = line.startswith(expected[:-1]) if expected.endswith("*") else line == expected
    assert fits, f"{place}: expected {expected!r}, got {line!r}"
