"""Take in a message's content from a client that may be slow (RFC 5321 4.5.3.2.5)."""

from __future__ import annotations

from typing import Protocol

from gatekeeper.server.spool import ContentSpool
from gatekeeper.settings import Listening
from gatekeeper.smtp.data import ContentReader, Fault
from gatekeeper.smtp.replies import Reply, reply

GRACE_SECONDS = 60.0  # for which --data-rate does not apply; pauses are limited all the same

_TOO_SLOW = reply(421, "the message comes too slowly, closing the connection", "4.4.2")


class IntakeClient(Protocol):
    """What the intake needs of a connection."""

    async def receive(self, seconds: float) -> bytes: ...

    def now(self) -> float: ...

    def close_with(self, farewell: Reply) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Intake:
    """One message that is being received. It is cleared when it has been judged, or given up."""

    def __init__(
        self, client: IntakeClient, settings: Listening, limit: int, began: float, contents: ContentSpool
    ) -> None:
        """Args: `limit` in octets; `began` is the time of the 354 reply, by the loop's clock."""
        self._client, self._rate = client, settings.data_rate
        self._spool = contents.spool(client.pause_reading, client.resume_reading)
        self._reader, self._received, self._began = ContentReader(limit, self._spool), 0, began

    def feed(self, data: bytes) -> bytes | None:
        """Take in octets; return None while the end is still to come, else the octets behind it."""
        self._received += len(data)
        return self._reader.feed(data)

    def too_slow(self) -> bool:
        """Dismiss a client that is slower than --data-rate on average; return True where it was."""
        seconds = self._client.now() - self._began
        if seconds <= GRACE_SECONDS or self._received >= self._rate * seconds:
            return False
        self._client.close_with(_TOO_SLOW)
        return True

    @property
    def is_small(self) -> bool:
        """True where `take` returns the content without waiting."""
        return self._reader.fault is not None or self._spool.is_small

    def take(self) -> bytes | Fault:
        """Return the content of a small message, once, or why it is refused."""
        return self._reader.fault or self._reader.content()

    async def content(self, within: float | None) -> bytes | Fault:
        """Return the content of any message, or why it is refused.

        A large one waits for memory, and is refused where that takes longer than `within` seconds.
        """
        if self.is_small:
            return self.take()
        try:
            content = await self._spool.whole(within)
        except TimeoutError:
            return Fault.MEMORY
        return Fault.DISK if content is None else content

    def clear(self) -> None:
        """Release the content and the memory that it takes; harmless where that was done."""
        self._spool.clear()


async def take_in(intake: Intake, client: IntakeClient, data_timeout: float) -> bytes | None:
    """Read up to the end of data, and return the octets behind it.

    Returns None where the client left, paused for longer than `data_timeout` seconds, or was slower than --data-rate on
    average.
    """
    while data := await client.receive(data_timeout):
        rest = intake.feed(data)
        if rest is not None:
            return rest
        if intake.too_slow():
            return None
    return None
