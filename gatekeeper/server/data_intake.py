"""Taking in a message's content from a client that may be slow (RFC 5321 4.5.3.2.5)."""

from __future__ import annotations

from typing import Protocol

from gatekeeper.server.spool import Contents
from gatekeeper.settings import Listening
from gatekeeper.smtp.data import ContentReader, Fault
from gatekeeper.smtp.replies import Reply, reply

GRACE_SECONDS = 60.0  # in which a sender may be as slow as it likes, but for pauses

_TOO_SLOW = reply(421, "the message comes too slowly, closing the connection", "4.4.2")


class Sender(Protocol):
    """What the intake needs of a connection."""

    async def receive(self, seconds: float) -> bytes: ...

    def now(self) -> float: ...

    def dismiss(self, farewell: Reply) -> None: ...

    def hold(self) -> None: ...

    def release(self) -> None: ...


class Intake:
    """One message on its way in. It is to be cleared when it has been judged, or given up."""

    def __init__(self, sender: Sender, settings: Listening, limit: int, began: float, contents: Contents) -> None:
        """Args: `limit` in octets; `began` when the sender was told to go ahead."""
        self._sender, self._rate = sender, settings.data_rate
        self._spool = contents.spool(sender.hold, sender.release)
        self._reader, self._received, self._began = ContentReader(limit, self._spool), 0, began

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
        """True where `take` gives the content at once."""
        return self._reader.fault is not None or self._spool.is_small

    def take(self) -> bytes | Fault:
        """The content of a small one, once, or why it is refused."""
        return self._reader.fault or self._reader.content()

    async def content(self, within: float | None) -> bytes | Fault:
        """As `take`, of any; a large one waits for its turn, and is refused where that takes so many seconds."""
        if self.is_small:
            return self.take()
        try:
            content = await self._spool.whole(within)
        except TimeoutError:
            return Fault.MEMORY
        return Fault.DISK if content is None else content

    def clear(self) -> None:
        """Let go of the content, and of the room that it takes; harmless where that was done."""
        self._spool.clear()


async def take_in(intake: Intake, sender: Sender, data_timeout: float) -> bytes | None:
    """Read up to the end of data: the octets behind the end.

    None where the client left, paused for longer than so many seconds, or was slower than --data-rate on average.
    """
    while data := await sender.receive(data_timeout):
        rest = intake.feed(data)
        if rest is not None:
            return rest
        if intake.too_slow():
            return None
    return None
