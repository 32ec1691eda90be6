"""A client's connection: aiosmtpd's SMTP, with what is slow or wrong for a proxy replaced, here and nowhere else.

aiosmtpd keeps the life of a connection: transports, sessions, STARTTLS. Replaced are

- its set-up, which looks through every method of the class for each connection, and makes a stream reader and a writer;
- reading: everything buffered is run in one pass and answered in one write, where aiosmtpd has a task step, a
  write and a timer for each command;
- time: one deadline, which the server checks from time to time;
- a client that closes its side: its earlier commands are still done and answered (aiosmtpd cancels its handler).
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
from gatekeeper.server.receive_buffer import ReceiveBuffer
from gatekeeper.smtp.commands import CommandReader
from gatekeeper.smtp.replies import Reply, reply

log = logging.getLogger("gatekeeper.smtp")

TOO_SLOW = reply(421, "nothing came in time, closing the connection", "4.4.2")
GOING_DOWN = reply(421, "going down, try again later", "4.3.2")
EARLY = reply(554, "input before the greeting: expected a client that waits for it", "5.5.1")
FAULT = reply(421, "a fault of the gate, try again later", "4.3.0")
_LINGER_SECONDS = 3.0  # a silent client is waited for, once the service ends


def shared_attributes(**arguments: Any) -> dict[str, Any]:
    """Return the attributes that SMTP.__init__ makes of its arguments and that all connections can share."""
    return vars(SMTP(None, **arguments))


class SmtpConnection(SMTP):
    """One client, from greeting to close. What the commands do is in `verbs.py`."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        """Args: `shared` is what `shared_attributes` returned."""
        self.__dict__.update(shared)
        self.loop = asyncio.get_running_loop()
        self.receive_buffer = ReceiveBuffer()
        self.commands = CommandReader()
        self.peer, self.peer_port = GONE, 0  # port 0 for a unix socket
        self.closing = False  # no more commands are run
        self.shutting_down = False  # the service ends: work in progress is finished, nothing is begun
        self.lingering = False  # the service ends: one more message may come
        self.in_data = False
        self.write_paused = False  # the client does not read our replies
        self._room: asyncio.Future[None] | None = None  # set when it reads again
        self._replies: list[bytes] = []
        self._deadline = math.inf
        self._held_since = 0.0
        self._left = False

    # -- what the transport calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.receive_buffer.transport = cast(asyncio.ReadTransport, transport)
        self.session = self._create_session()
        self.session.peer = transport.get_extra_info("peername")
        if self._original_transport is not None:  # STARTTLS put this transport over another
            assert self._tls_protocol is not None
            self.session.ssl = self._tls_protocol._extra
            self.receive_buffer.clear()  # octets that came in the clear (RFC 3207 4.2)
            return
        self.peer, self.peer_port = _host_and_port(self.session.peer)
        self._reset_timeout()
        self.begin()

    def data_received(self, data: bytes) -> None:
        self.receive_buffer.feed(data)

    def eof_received(self) -> bool:
        """Keep our side open, so that earlier commands are answered. TLS has no half-closed state."""
        self.receive_buffer.feed_eof()
        return self.session is None or self.session.ssl is None

    def connection_lost(self, error: Exception | None) -> None:
        self.closing, self.transport, self.receive_buffer.transport = True, None, None
        if self._original_transport is not None:
            self._original_transport.close()
        self.receive_buffer.feed_eof()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        else:
            self.leave()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._room and not self._room.done():
            self._room.set_result(None)

    # -- time ----------------------------------------------------------------------------------------------------

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Set the deadline to `duration` seconds from now."""
        if self.lingering and not self.in_data:
            duration = _LINGER_SECONDS
        self._deadline = self.loop.time() + (duration or self._timeout_duration)

    def check_deadline(self, now: float) -> None:
        """Close the connection where its deadline has passed. Args: `now` by the loop's clock."""
        if now >= self._deadline and not self.receive_buffer.held:
            self._deadline = math.inf
            if self.lingering and not self.in_data:
                self.close_with(GOING_DOWN)
                return
            log.info("client too slow client=%s", self.peer)
            self.close_with(TOO_SLOW)

    def pause_reading(self) -> None:
        """Read nothing from the client until `resume_reading`; its deadline is extended by that time."""
        self._held_since = self.now()
        self.receive_buffer.pause()

    def resume_reading(self) -> None:
        """Read on."""
        self.receive_buffer.resume()
        self._deadline += self.now() - self._held_since

    # -- what is written -----------------------------------------------------------------------------------------

    async def push(self, status: str | bytes) -> None:
        """Write a line of aiosmtpd's own: the reply to STARTTLS, which must be sent before the handshake."""
        self._replies.append((status.encode("ascii", "replace") if isinstance(status, str) else status) + b"\r\n")
        self.write_replies()

    def answer(self, given: Reply) -> None:
        """Queue a reply; it is written when the client's pipelined commands are done (RFC 2920 3.2)."""
        self._replies.append(given.encode())

    def answer_all(self, given: Sequence[Reply]) -> None:
        """Queue replies; of thousands most are the same."""
        if given and given.count(given[0]) == len(given):
            self._replies.append(given[0].encode() * len(given))
        else:
            self._replies += [each.encode() for each in given]

    def write_replies(self) -> None:
        """Write the queued replies in one piece."""
        if self._replies:
            self.write(b"".join(self._replies))
            self._replies = []

    def write(self, octets: bytes) -> None:
        """Write octets, where the client is still connected."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).write(octets)

    async def flush(self) -> None:
        """Write the queued replies, and wait while the client does not read."""
        self.write_replies()
        self._reset_timeout()
        if self.write_paused:
            self._room = self.loop.create_future()
            await self._room

    def close_with(self, farewell: Reply) -> None:
        """Send a last reply and close at once: at the deadline, or where the service ends."""
        self.closing = True
        if self.transport is None or self.transport.is_closing():
            return
        self.answer(farewell)
        self.write_replies()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the transport, once; octets that the client does not read within its time are dropped."""
        transport = cast("asyncio.WriteTransport | None", self.transport)
        if transport is None or transport.is_closing():  # a TLS transport must not be closed twice
            return
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(self._timeout_duration, transport.abort)

    # -- the dialog ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the dialog."""
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
            self.connection_lost(None)  # the TLS transport was never made, so it does not call this
        except ConnectionError as error:
            log.info("connection lost client=%s error=%s", self.peer, error)
            self.closing = True
        except Exception:
            log.exception("fault in a connection client=%s", self.peer)
            self.close_with(FAULT)

    def _ran(self, task: asyncio.Task[None]) -> None:
        """Close after the connection's task has ended, or was cancelled before it began."""
        self._handler_coroutine = None
        self.leave()

    def leave(self) -> None:
        """Close, and release everything, once."""
        self.closing = True
        self.hang_up()
        if not self._left:
            self._left = True
            self.ended()

    async def _greet(self) -> bool:
        """Greet the client; return False where it is refused or has sent octets before the greeting."""
        refused = self.refusal()
        await asyncio.sleep(0)  # octets sent before the greeting are read in this turn of the loop
        await asyncio.sleep(0)
        if not refused and self.receive_buffer.waiting:
            refused = EARLY
        if refused:
            log.info("connection refused client=%s reply=%s", self.peer, refused)
        self.answer(refused or self.greeting)
        await self.flush()
        return not refused

    async def _converse(self) -> None:
        """Run the client's commands, pass by pass, until one side ends the dialog."""
        while not self.closing and not self.shutting_down:
            data = await self.receive(self._timeout_duration)
            if not data:
                return
            self.commands.feed(data)
            await self.run_pass()
            await self.flush()
        if self.shutting_down:
            self.close_with(GOING_DOWN)

    async def receive(self, seconds: float) -> bytes:
        """Return all octets that have come, or that come within so many seconds; b"" at the end."""
        self._reset_timeout(seconds)
        data = await self.receive_buffer.take()
        self._deadline = math.inf  # the time from here on is ours, not the client's
        return data

    def shut_down(self) -> None:
        """End the connection when its message is done: the one in progress, or the one that a new client is about to
        send.

        A client whose turn it is and that sends nothing within a moment is closed; at once where it has sent a message
        before and has begun no other.
        """
        self.lingering = self.is_owed_a_message and not self.in_data
        self.shutting_down = not self.lingering
        if self._deadline == math.inf or self.in_data:
            return  # it is not the client's turn
        if self.lingering:
            self._reset_timeout()
        else:
            self.close_with(GOING_DOWN)

    def abort(self) -> None:
        """End without a reply."""
        self.closing = True
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    def now(self) -> float:
        """Return the loop's time, in seconds."""
        return self.loop.time()

    @property
    def greeting(self) -> Reply:
        """The reply that a session begins with."""
        return greeting_of(self.hostname)

    # -- implemented in verbs.py ---------------------------------------------------------------------------------

    @property
    def is_owed_a_message(self) -> bool:
        """True where the client has begun a message, or has connected and sent none yet."""
        raise NotImplementedError

    def refusal(self) -> Reply | None:
        """Return the reply to a client that may not connect; None for others."""
        raise NotImplementedError

    async def run_pass(self) -> None:
        """Run the commands that were received."""
        raise NotImplementedError

    def ended(self) -> None:
        """Release everything."""
        raise NotImplementedError


@lru_cache
def greeting_of(hostname: str) -> Reply:
    """Return the reply that a session begins with on that host."""
    return Reply(220, (f"{hostname} ESMTP Gatekeeper",))


def _host_and_port(name: object) -> tuple[str, int]:
    """Return host and port of a transport's peer: 127.0.0.1 for a unix socket, GONE where the client has left."""
    if isinstance(name, tuple):
        return str(name[0]).removeprefix("::ffff:"), int(name[1])
    return (GONE if name is None else "127.0.0.1"), 0
