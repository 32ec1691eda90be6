"""Take in a message's content from a client that may be slow (RFC 5321 4.5.3.2.5)."""

from __future__ import annotations

from typing import Protocol

from gatekeeper.ops.log import event
from gatekeeper.server.spool import ContentSpool, Spool
from gatekeeper.settings import Listening
from gatekeeper.smtp.data import ContentReader, Fault, whole_content
from gatekeeper.smtp.replies import Reply, reply

GRACE_SECONDS = 60.0  # for which --data-rate does not apply; pauses are limited all the same

_TOO_SLOW = reply(421, "the message comes too slowly, closing the connection", "4.4.2")


class IntakeClient(Protocol):
    """What the intake needs of a connection."""

    peer: str

    def now(self) -> float: ...

    def close_with(self, farewell: Reply) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Intake:
    """One message that is being received, in one piece as most small ones are, or block by block.

    It is cleared when the message has been judged, or given up.
    """

    def __init__(self, client: IntakeClient, settings: Listening, limit: int, contents: ContentSpool) -> None:
        """Args: `limit` in octets."""
        self._client, self._rate, self._limit, self._contents = client, settings.data_rate, limit, contents
        self._began = client.now()  # with the 354 reply
        self._received = 0
        self._whole: bytes | None = None  # the content that came in one piece
        self._blocks: tuple[ContentReader, Spool] | None = None  # of any other

    def feed(self, data: bytes) -> bytes | None:
        """Take in octets; return None while the end is still to come, else the octets behind it.

        A client that is slower than --data-rate on average is dismissed. Where memory is out, what has come is dropped,
        and the message is refused at its end: a connection that is closed before would be reset, without a reply.
        """
        try:
            if self._blocks is None:
                self._whole = whole_content(data, self._limit)
                if self._whole is not None:
                    return b""
            rest = self._reader().feed(data)
        except MemoryError:
            self._reader().fail(Fault.MEMORY)
            rest = self._reader().feed(data)
        self._received += len(data)
        if rest is None:
            self._check_rate()
        return rest

    def _reader(self) -> ContentReader:
        if self._blocks is None:
            spool = self._contents.spool(self._client.pause_reading, self._client.resume_reading)
            self._blocks = ContentReader(self._limit, spool), spool
        return self._blocks[0]

    def _check_rate(self) -> None:
        seconds = self._client.now() - self._began
        if seconds > GRACE_SECONDS and self._received < self._rate * seconds:
            self._client.close_with(_TOO_SLOW)

    def take(self) -> bytes | Fault | None:
        """Return the content, once, or why it is refused; None for a large one, for which `content` waits."""
        if self._blocks is None:
            return self._whole
        reader, spool = self._blocks
        if reader.fault is not None:
            return self._refused(reader.fault)
        try:
            return reader.content() if spool.is_small else None
        except MemoryError:
            return self._refused(Fault.MEMORY)

    async def content(self, within: float | None) -> bytes | Fault:
        """Return a large content, or why it is refused.

        It waits for memory, and is refused where that takes longer than `within` seconds.
        """
        assert self._blocks is not None
        try:
            content = await self._blocks[1].whole(within)
        except (TimeoutError, MemoryError):
            return self._refused(Fault.MEMORY)
        return self._refused(Fault.DISK) if content is None else content

    def _refused(self, fault: Fault) -> Fault:
        event("message refused", {"client": self._client.peer, "fault": fault.value})
        return fault

    def clear(self) -> None:
        """Release the content and the memory that it takes; harmless where that was done."""
        if self._blocks is not None:
            self._blocks[1].clear()
