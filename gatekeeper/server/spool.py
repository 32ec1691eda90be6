"""Where the content of messages is while they arrive: in memory, and beyond a limit in files.

Messages that arrive slowly, or wait for their turn, must not fill the memory; but a message that is judged and passed
on is octets in memory. So there are two memory budgets. Arriving messages share the first, and spill to disk when it is
used up. Messages being judged share the second, and wait for it: each of them always finishes in bounded time, whatever
any client does, so that there is no deadlock. Small messages need neither.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import IO

from gatekeeper.lib.aio import started_threads
from gatekeeper.lib.allowance import Allowance
from gatekeeper.smtp.buffer import MemoryBuffer

log = logging.getLogger("gatekeeper.smtp")
SMALL = 1_048_576  # octets of each message that are in memory in any case; as many may wait to be written
LONGEST_WAIT = 300.0  # seconds for memory: the client waits for 600 (RFC 5321 4.5.3.2.6), then sends again
MEMORY = 67_108_864  # octets of either budget, by default
LARGE = 4_194_304  # octets; more than this is joined in a thread, without holding the GIL


def _nothing() -> None:
    """Do nothing, for a client that cannot be paused."""


def _unnoted(where: str, octets: int) -> None:
    """Do nothing, where no metric is kept."""


class ContentSpool:
    """The memory, the disk and the thread that the contents of all messages of a process share."""

    def __init__(self, memory: int = MEMORY, noted: Callable[[str, int], None] = _unnoted, small: int = SMALL) -> None:
        """Args: `memory` in octets; `noted` is called with each change of the octets in `memory` or on `disk`."""
        self.small = small
        self.arriving = Allowance(memory, lambda octets: noted("memory", octets))
        self.judged = Allowance(memory, lambda octets: noted("memory", octets))
        self.on_disk = 0  # octets
        self._noted = noted
        self._thread = started_threads(1, "spool")  # one, so that writes happen in order

    def spool(self, hold: Callable[[], None] = _nothing, release: Callable[[], None] = _nothing) -> Spool:
        """Return the spool of one message. Args: `hold` and `release` pause its client, and let it go on."""
        return Spool(self, hold, release)

    def overflow(self, progressed: Callable[[], None]) -> Overflow:
        """Return the file of one message."""
        return Overflow(self._thread, progressed, self._note_disk)

    def _note_disk(self, octets: int) -> None:
        self.on_disk += octets
        self._noted("disk", octets)


class Spool:
    """The content of one message; has the methods of `OctetBuffer`.

    A small one can be taken at once. Any other is awaited with `whole`, and must be cleared when it has been judged or
    given up, which gives its memory back.
    """

    def __init__(self, contents: ContentSpool, hold: Callable[[], None], release: Callable[[], None]) -> None:
        self._contents, self._hold, self._release = contents, hold, release
        self._pieces = MemoryBuffer()
        self._octets = 0
        self._arriving = self._judged = 0  # octets taken from either budget
        self._overflow: Overflow | None = None
        self._holds = False

    def __len__(self) -> int:
        return self._octets

    @property
    def is_small(self) -> bool:
        """True where `take` returns the content without waiting."""
        return self._octets <= self._contents.small

    def add(self, piece: bytes) -> None:
        """Add octets."""
        self._octets += len(piece)
        if self._overflow is None:
            self._pieces.add(piece)
            if self._may_stay():
                return
            self._overflow = self._contents.overflow(self._progressed)
            for each in self._pieces.take_apart():
                self._overflow.add(each)
        else:
            self._overflow.add(piece)
        if not self._holds and self._overflow.waiting > self._contents.small:
            self._holds = True
            self._hold()

    def _may_stay(self) -> bool:
        wanted = self._octets - self._contents.small - self._arriving
        if wanted <= 0:
            return True
        taken = self._contents.arriving.take_now(wanted)
        self._arriving += wanted * taken
        return taken

    def _progressed(self) -> None:
        """Continue after the first octets were spilled: they are on disk or lost, and more may have arrived since."""
        self._give_back_arriving()
        if self._overflow is not None and self._overflow.waiting <= self._contents.small // 2:
            self._go_on()

    def _go_on(self) -> None:
        """Move on when the octets that were spilled are on disk or lost; more may have arrived since."""
        if self._holds:
            self._holds = False
            self._release()

    def take(self) -> bytes:
        """Return a small content, and clear the spool."""
        self._octets = 0
        return self._pieces.take()

    async def whole(self, within: float | None = None) -> bytes | None:
        """Wait until the content may be in memory, and return it joined; None where the disk had no room for it.

        Args: `within` is how long it may wait, in seconds; never longer than LONGEST_WAIT. Raises TimeoutError.
        """
        if self.is_small:
            return self.take()
        async with asyncio.timeout(min(within or LONGEST_WAIT, LONGEST_WAIT)):
            return await self._in_its_turn()

    async def _in_its_turn(self) -> bytes | None:
        if self._overflow is not None and not await self._overflow.written():
            return None
        await self._contents.judged.take(self._octets)
        self._judged = self._octets
        content = await self._put_together()
        self._give_back_arriving()
        return content

    async def _put_together(self) -> bytes | None:
        if self._overflow is not None:
            content = await self._overflow.read()
            self._close()
            return content
        pieces = self._pieces.take_apart()
        return b"".join(pieces) if self._octets < LARGE else await asyncio.to_thread(b"".join, pieces)

    def clear(self) -> None:
        """Discard the content and give its memory back; harmless where that was done."""
        self._pieces.clear()
        self._octets = 0
        if self._overflow is None:
            self._give_back_arriving()  # else when what is written just now has left the memory
        self._close()
        judged, self._judged = self._judged, 0
        self._contents.judged.give_back(judged)
        self._go_on()

    def _give_back_arriving(self) -> None:
        arriving, self._arriving = self._arriving, 0
        self._contents.arriving.give_back(arriving)

    def _close(self) -> None:
        overflow, self._overflow = self._overflow, None
        if overflow is not None:
            overflow.close()


class Overflow:
    """A file without a name, gone when it is closed or the process ends; one thread writes and reads it, in order."""

    def __init__(self, thread: Executor, progressed: Callable[[], None], noted: Callable[[int], None]) -> None:
        """Args: `progressed` is called when octets were written or lost; `noted` with each change of the octets on
        disk.
        """
        self.waiting = 0  # octets that are not written yet
        self._thread, self._progressed, self._noted = thread, progressed, noted
        self._loop = asyncio.get_running_loop()
        self._pieces = MemoryBuffer()
        self._file: IO[bytes] | None = None  # the thread's, and so is all that is done to it
        self._writing: asyncio.Future[None] | None = None
        self._octets = 0
        self._failed = self._closed = False

    def add(self, piece: bytes) -> None:
        """Add octets, to be written soon."""
        if self._failed:
            return
        self.waiting += len(piece)
        self._pieces.add(piece)
        if self._writing is None:
            self._writing = self._loop.create_future()
            self._loop.call_soon(self._write_on)  # with all that comes in this turn of the loop

    def _write_on(self) -> None:
        if self._closed:
            self._rest()
            self._progressed()
            return
        octets = len(self._pieces)
        work = self._loop.run_in_executor(self._thread, self._write, self._pieces.take_apart())
        work.add_done_callback(lambda done: self._written(octets, done))

    def _written(self, octets: int, done: asyncio.Future[None]) -> None:
        error = done.exception()
        self.waiting -= octets
        if error is not None:
            self._fail(error)
        elif not self._closed:
            self._octets += octets
            self._noted(octets)
        if len(self._pieces):
            self._write_on()
        else:
            self._rest()
        self._progressed()

    def _fail(self, error: BaseException) -> None:
        log.error("a large message could not be written to %s: %s; make room", tempfile.gettempdir(), error)
        self._failed, self.waiting = True, 0
        self._let_go()

    def _rest(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.set_result(None)

    async def written(self) -> bool:
        """Wait until all octets are on disk; return False where they could not be written."""
        while self._writing is not None:
            await asyncio.shield(self._writing)
        return not self._failed

    async def read(self) -> bytes | None:
        """Return all octets; None where they cannot be read."""
        try:
            return await self._loop.run_in_executor(self._thread, self._read, self._octets)
        except OSError as error:
            self._fail(error)
            return None

    def close(self) -> None:
        """Close the file, after writes in progress."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        self._pieces.clear()
        self._noted(-self._octets)
        self._octets = 0
        with suppress(RuntimeError):  # the process ends, and its files with it
            self._thread.submit(self._shut)

    # -- in the thread -------------------------------------------------------------------------------------------

    def _write(self, pieces: list[bytes]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the message is under way
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]

    def _read(self, octets: int) -> bytes:
        assert self._file is not None
        self._file.seek(0)
        content = self._file.read()
        if len(content) != octets:
            raise OSError(f"{len(content)} octets are left of {octets} that were written")
        return content

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
