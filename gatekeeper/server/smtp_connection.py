"""A client's connection: aiosmtpd's SMTP, with what is hot or wrong for a proxy done otherwise, here and nowhere else.

aiosmtpd keeps the life of a connection: transports, sessions, STARTTLS. Overridden are

- its set-up, which looks through every method of the class for each connection, and makes a stream reader and a writer;
- reading: all that is buffered is run in one pass, and its replies go in one write, where aiosmtpd has a task step, a
  write and a timer a command;
- time: a deadline, which the house looks at from time to time;
- a client that closes its side: what it said before is still done and answered (aiosmtpd cancels its handler).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from aiosmtpd.smtp import SMTP, TLSSetupException

from gatekeeper.server.connections import GONE
from gatekeeper.server.receive_buffer import Inbox
from gatekeeper.smtp.commands import CommandReader
from gatekeeper.smtp.replies import Reply, reply

log = logging.getLogger("gatekeeper.smtp")

TOO_SLOW = reply(421, "nothing came in time, closing the connection", "4.4.2")
GOING_DOWN = reply(421, "going down, try again later", "4.3.2")
EARLY = reply(554, "input before the greeting: expected a client that waits for it", "5.5.1")
FAULT = reply(421, "a fault of the gate, try again later", "4.3.0")
_LINGER_SECONDS = 3.0  # of a client's silence, once the service ends


def settled(**arguments: Any) -> dict[str, Any]:
    """What SMTP.__init__ makes of its arguments and each connection can share."""
    return vars(SMTP(None, **arguments))


class Connection(SMTP):
    """One client, from greeting to goodbye. What the verbs do is in `verbs.py`."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        """Args: `shared` is what `settled` gave."""
        self.__dict__.update(shared)
        self.loop = asyncio.get_running_loop()
        self.inbox = Inbox()
        self.commands = CommandReader()
        self.peer, self.peer_port = GONE, 0  # the host that is connected; 0 for a unix socket
        self.closing = False  # no more commands are run
        self.winding_up = False  # the service ends: what is under way is done, nothing is begun
        self.lingering = False  # the service ends: one message may come still
        self.in_data = False
        self.deaf = False  # the client does not read what we write
        self._room: asyncio.Future[None] | None = None  # until it does
        self._replies: list[bytes] = []
        self._deadline = math.inf
        self._held_since = 0.0
        self._left = False

    # -- what the transport calls --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.inbox.transport = cast(asyncio.ReadTransport, transport)
        self.session = self._create_session()
        self.session.peer = transport.get_extra_info("peername")
        if self._original_transport is not None:  # STARTTLS put this transport over another
            assert self._tls_protocol is not None
            self.session.ssl = self._tls_protocol._extra
            self.inbox.clear()  # what came in the clear (RFC 3207 4.2)
            return
        self.peer, self.peer_port = _host_and_port(self.session.peer)
        self._reset_timeout()
        self.begin()

    def data_received(self, data: bytes) -> None:
        self.inbox.feed(data)

    def eof_received(self) -> bool:
        """Keep our side open: what came before is still to be answered. TLS has no half-closed state."""
        self.inbox.feed_eof()
        return self.session is None or self.session.ssl is None

    def connection_lost(self, error: Exception | None) -> None:
        self.closing, self.transport, self.inbox.transport = True, None, None
        if self._original_transport is not None:
            self._original_transport.close()
        self.inbox.feed_eof()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        else:
            self.leave()

    def pause_writing(self) -> None:
        self.deaf = True

    def resume_writing(self) -> None:
        self.deaf = False
        if self._room and not self._room.done():
            self._room.set_result(None)

    # -- time --

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Give the client so many seconds."""
        if self.lingering and not self.in_data:
            duration = _LINGER_SECONDS
        self._deadline = self.loop.time() + (duration or self._timeout_duration)

    def look_at_the_time(self, now: float) -> None:
        """Send away a client whose time is over. Args: `now` by the loop's clock."""
        if now >= self._deadline and not self.inbox.held:
            self._deadline = math.inf
            if self.lingering and not self.in_data:
                self.dismiss(GOING_DOWN)
                return
            log.info("client too slow client=%s", self.peer)
            self.dismiss(TOO_SLOW)

    def hold(self) -> None:
        """Read nothing from the client until `release`; its time stands still."""
        self._held_since = self.now()
        self.inbox.hold()

    def release(self) -> None:
        """Read on."""
        self.inbox.release()
        self._deadline += self.now() - self._held_since

    # -- what is written --

    async def push(self, status: str | bytes) -> None:
        """Write a line of aiosmtpd's own: the go-ahead of STARTTLS, which must be out before the handshake."""
        self._replies.append((status.encode("ascii", "replace") if isinstance(status, str) else status) + b"\r\n")
        self.write_replies()

    def answer(self, given: Reply) -> None:
        """Queue a reply; it is written when the client's pipelined commands are done (RFC 2920 3.2)."""
        self._replies.append(given.encode())

    def answer_all(self, given: Sequence[Reply]) -> None:
        """Queue replies, which may be thousands, most of them the same."""
        if given and given.count(given[0]) == len(given):
            self._replies.append(given[0].encode() * len(given))
        else:
            self._replies += [each.encode() for each in given]

    def write_replies(self) -> None:
        """Write what is queued, in one piece."""
        if self._replies:
            self.write(b"".join(self._replies))
            self._replies = []

    def write(self, octets: bytes) -> None:
        """Write, where the client is still there."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).write(octets)

    async def flush(self) -> None:
        """Write what is queued, and wait where the client does not read."""
        self.write_replies()
        self._reset_timeout()
        if self.deaf:
            self._room = self.loop.create_future()
            await self._room

    def dismiss(self, farewell: Reply) -> None:
        """Say a last word and close, at once: at the end of time, or where the service ends."""
        self.closing = True
        if self.transport is None or self.transport.is_closing():
            return
        self.answer(farewell)
        self.write_replies()
        self.hang_up()

    def hang_up(self) -> None:
        """Close, once; what the client does not read within its time is dropped."""
        transport = cast("asyncio.WriteTransport | None", self.transport)
        if transport is None or transport.is_closing():  # TLS's, closed again, is none any more
            return
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(self._timeout_duration, transport.abort)

    # -- the dialog --

    def begin(self) -> None:
        """A client has come."""
        self.run(self._talk)

    async def _talk(self) -> None:
        if await self._greet():
            await self._converse()

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run work in the connection's task."""
        self._handler_coroutine = self.loop.create_task(self._guarded(work))
        self._handler_coroutine.add_done_callback(self._ran)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self.write_replies()
        except TLSSetupException as error:
            log.info("no TLS client=%s error=%s", self.peer, error.__cause__)
            self.connection_lost(None)  # which a transport that never was does not call
        except ConnectionError as error:
            log.info("connection lost client=%s error=%s", self.peer, error)
            self.closing = True
        except Exception:
            log.exception("fault in a connection client=%s", self.peer)
            self.dismiss(FAULT)

    def _ran(self, task: asyncio.Task[None]) -> None:
        """The connection's task has ended, or was cancelled before it had begun."""
        self._handler_coroutine = None
        self.leave()

    def leave(self) -> None:
        """Close, and let go of everything; once."""
        self.closing = True
        self.hang_up()
        if not self._left:
            self._left = True
            self.ended()

    async def _greet(self) -> bool:
        """Greet the client, unless it is refused or has spoken before its turn."""
        refused = self.refusal()
        await asyncio.sleep(0)  # what a client sends without waiting is read in this turn of the loop
        await asyncio.sleep(0)
        if not refused and self.inbox.waiting:
            refused = EARLY
        if refused:
            log.info("connection refused client=%s reply=%s", self.peer, refused)
        self.answer(refused or self.greeting)
        await self.flush()
        return not refused

    async def _converse(self) -> None:
        """Run what the client sends, pass by pass, until one side ends it."""
        while not self.closing and not self.winding_up:
            data = await self.receive(self._timeout_duration)
            if not data:
                return
            self.commands.feed(data)
            await self.run_pass()
            await self.flush()
        if self.winding_up:
            self.dismiss(GOING_DOWN)

    async def receive(self, seconds: float) -> bytes:
        """All that has come in, or comes within so many seconds; b"" at the end."""
        self._reset_timeout(seconds)
        data = await self.inbox.take()
        self._deadline = math.inf  # what takes time now is not the client's doing
        return data

    def wind_up(self) -> None:
        """End: when the message that is under way, or that who was let in for it is about to send, is done.

        Who is to speak next and does not within a moment is sent away, and so is at once who has sent a message before
        and has begun no other.
        """
        self.lingering = self.is_owed_a_message and not self.in_data
        self.winding_up = not self.lingering
        if self._deadline == math.inf or self.in_data:
            return  # it is not the client's turn
        if self.lingering:
            self._reset_timeout()
        else:
            self.dismiss(GOING_DOWN)

    def abort(self) -> None:
        """End without a word."""
        self.closing = True
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    def now(self) -> float:
        """The loop's time, in seconds."""
        return self.loop.time()

    @property
    def greeting(self) -> Reply:
        """What a session begins with."""
        return greeting_of(self.hostname)

    # -- what verbs.py does --

    @property
    def is_owed_a_message(self) -> bool:
        """True where the client has begun a message, or has connected and sent none yet."""
        raise NotImplementedError

    def refusal(self) -> Reply | None:
        """The reply to a client that may not connect."""
        raise NotImplementedError

    async def run_pass(self) -> None:
        """Run the commands that are there."""
        raise NotImplementedError

    def ended(self) -> None:
        """Let go of everything."""
        raise NotImplementedError


@lru_cache
def greeting_of(hostname: str) -> Reply:
    """What a session begins with, on a host of that name."""
    return Reply(220, (f"{hostname} ESMTP Gatekeeper",))


def _host_and_port(name: object) -> tuple[str, int]:
    """Of a transport's peer: a unix socket's is this host, GONE who has left already."""
    if isinstance(name, tuple):
        return str(name[0]).removeprefix("::ffff:"), int(name[1])
    return (GONE if name is None else "127.0.0.1"), 0
