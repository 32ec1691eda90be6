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


class Intake:
    """One message on its way in."""

    def __init__(self, sender: Sender, settings: Listening, limit: int, began: float) -> None:
        """Args: `limit` in octets; `began` when the sender was told to go ahead."""
        self._sender, self._rate = sender, settings.data_rate
        self._reader, self._received, self._began = ContentReader(limit), 0, began

    def feed(self, data: bytes) -> bytes | None:
        """Take in octets; None where the end is still to come, else the octets behind it."""
        self._received += len(data)
        return self._reader.feed(data)

    def too_slow(self) -> bool:
        """True, once it has been dismissed, for a sender that was slower than --data-rate on average."""
        seconds = self._sender.now() - self._began
        if seconds <= GRACE_SECONDS or self._received >= self._rate * seconds:
            return False
        self._sender.dismiss(_TOO_SLOW)
        return True

    @property
    def is_small(self) -> bool:
        """True where the content is put together in no time."""
        return self._reader.fault is not None or self._reader.size < LARGE

    def take(self) -> bytes | Fault:
        """The content, once, or why it is refused."""
        return self._reader.fault or self._reader.content()

    async def content(self) -> bytes | Fault:
        """As `take`, beside the loop where that takes time."""
        return self.take() if self.is_small else await asyncio.to_thread(self.take)


async def take_in(sender: Sender, settings: Listening, limit: int) -> tuple[bytes | Fault, bytes] | None:
    """Read up to the end of data: the content or why it is refused, and the octets behind the end.

    None where the client left, paused for longer than --data-timeout, or was slower than --data-rate on average.
    Args: `limit` in octets.
    """
    intake = Intake(sender, settings, limit, sender.now())
    while data := await sender.receive(settings.data_timeout):
        rest = intake.feed(data)
        if rest is not None:
            return await intake.content(), rest
        if intake.too_slow():
            return None
    return None
