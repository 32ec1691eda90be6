"""An SMTP client of our own that pipelines, in many sessions at once, and learns each message's queue id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from tests.postfix.mails import Letter

_QUEUED = re.compile(r"queued as (\w+)")


async def inject(port: int, letters: Sequence[Letter], sessions: int = 20) -> list[Letter]:
    """Send all letters to an SMTP server of this machine; the same letters, with their queue ids.

    AssertionError where one is not taken.
    """
    waiting = list(enumerate(letters))[::-1]
    taken: dict[int, Letter] = {}

    async def session() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        await _expect(reader, "220")
        writer.write(b"EHLO client.example.gov\r\n")
        await _expect(reader, "250")
        while waiting:
            number, letter = waiting.pop()
            taken[number] = await _send(reader, writer, letter)
        writer.write(b"QUIT\r\n")
        await _expect(reader, "221")
        writer.close()

    await asyncio.gather(*(session() for _ in range(min(sessions, len(waiting)))))
    return [taken[number] for number in range(len(letters))]


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, letter: Letter) -> Letter:
    mail = " ".join([f"MAIL FROM:<{letter.sender}>", *letter.parameters])
    people = [" ".join([f"RCPT TO:<{each}>", *letter.each]) for each in letter.recipients]
    writer.write("".join(f"{line}\r\n" for line in [mail, *people, "DATA"]).encode())
    for _ in range(len(people) + 1):
        await _expect(reader, "250")
    await _expect(reader, "354")
    writer.write(stuffed(letter.content))
    answer = await _expect(reader, "250")
    queued = _QUEUED.search(answer)
    return replace(letter, queue_id=queued[1] if queued else "")


def stuffed(content: bytes) -> bytes:
    """The content as it is on the wire, its end included (RFC 5321 4.5.2)."""
    ended = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    return (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


async def _expect(reader: asyncio.StreamReader, code: str) -> str:
    lines = [(await reader.readline()).decode()]
    while lines[-1][3:4] == "-":
        lines.append((await reader.readline()).decode())
    assert lines[-1].startswith(code), f"expected {code}: {lines}"
    return lines[-1]
