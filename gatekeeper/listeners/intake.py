"""Taking in a message's content from a client that may be slow (RFC 5321 4.5.3.2.5)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gatekeeper.settings import Listening
from gatekeeper.wire.content import ContentReader, Fault
from gatekeeper.wire.replies import Reply, reply

LARGE = 4_194_304  # octets; what puts more than this together does so beside the loop, and without holding the GIL
GRACE_SECONDS = 60.0  # in which a sender may be as slow as it likes, but for pauses

_TOO_SLOW = reply(421, "the message comes too slowly, closing the connection", "4.4.2")


class Sender(Protocol):
    """What the intake needs of a connection."""

    async def receive(self, seconds: float) -> bytes: ...

    def now(self) -> float: ...

    def dismiss(self, farewell: Reply) -> None: ...


async def take_in(sender: Sender, settings: Listening, limit: int) -> tuple[bytes | Fault, bytes] | None:
    """Read up to the end of data: the content or why it is refused, and the octets behind the end.

    None where the client left, paused for longer than --data-timeout, or was slower than --data-rate on average.
    Args: `limit` in octets.
    """
    reader, received, began = ContentReader(limit), 0, sender.now()
    while data := await sender.receive(settings.data_timeout):
        rest = reader.feed(data)
        if rest is not None:
            return reader.fault or await _content(reader), rest
        received += len(data)
        seconds = sender.now() - began
        if seconds > GRACE_SECONDS and received < settings.data_rate * seconds:
            sender.dismiss(_TOO_SLOW)
            return None
    return None


async def _content(reader: ContentReader) -> bytes:
    return reader.content() if reader.size < LARGE else await asyncio.to_thread(reader.content)
