"""A client's connection: aiosmtpd's SMTP, with what is hot or wrong for a proxy done otherwise, here and nowhere else.

aiosmtpd keeps the life of a connection: transports, sessions, STARTTLS. Overridden are

- its set-up, which looks through every method of the class for each connection;
- reading: all that is buffered is run in one pass, and its replies go in one write, where aiosmtpd has a task step, a
  write and a timer a command;
- time: one coarse timer a connection, that looks at a deadline when it fires;
- a client that closes its side: what it said before is still done and answered (aiosmtpd cancels its handler).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, TLSSetupException

from gatekeeper.listeners.guests import GONE
from gatekeeper.listeners.inbox import Inbox
from gatekeeper.wire.commands import CommandReader
from gatekeeper.wire.replies import Reply, reply

log = logging.getLogger("gatekeeper.smtp")

TOO_SLOW = reply(421, "nothing came in time, closing the connection", "4.4.2")
GOING_DOWN = reply(421, "going down, try again later", "4.3.2")
EARLY = reply(554, "input before the greeting: expected a client that waits for it", "5.5.1")
FAULT = reply(421, "a fault of the gate, try again later", "4.3.0")


def settled(**arguments: Any) -> dict[str, Any]:
    """What SMTP.__init__ makes of its arguments and each connection can share."""
    return vars(SMTP(None, **arguments))


class Connection(SMTP):
    """One client, from greeting to goodbye. What the verbs do is in `verbs.py`."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        """Args: `shared` is what `settled` gave."""
        self.__dict__.update(shared)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)  # aiosmtpd wants one; nothing is read from it
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, loop)
        self.loop = loop
        self.inbox = Inbox(lambda: cast("asyncio.ReadTransport | None", self.transport))
        self.commands = CommandReader()
        self.closing = False  # no more commands are run
        self.winding_up = False  # the service ends: what is under way is done, nothing is begun
        self.in_data = False
        self.unfinished = False  # something was begun at once, and waits for the connection's task (at_once.py)
        self._replies: list[bytes] = []
        self._last, self._last_encoded = GOING_DOWN, GOING_DOWN.encode()
        self._deadline = math.inf

    # -- what the transport calls --

    def data_received(self, data: bytes) -> None:
        self.inbox.feed(data)

    def eof_received(self) -> bool:
        """Keep our side open: what came before is still to be answered. TLS has no half-closed state."""
        self.inbox.feed_eof()
        return self.session is None or self.session.ssl is None

    def connection_lost(self, error: Exception | None) -> None:
        self.inbox.feed_eof()
        super().connection_lost(error)

    # -- time --

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Give the client so many seconds. A timer that fires before the deadline is left to find that out itself."""
        self._deadline = self.loop.time() + (duration or self._timeout_duration)
        timer = self._timeout_handle
        if timer is None or timer.when() > self._deadline:
            if timer:
                timer.cancel()
            self._timeout_handle = self.loop.call_at(self._deadline, self._timeout_cb)

    def _timeout_cb(self) -> None:
        left = self._deadline - self.loop.time()
        if left > 0:
            self._timeout_handle = self.loop.call_later(min(left, self._timeout_duration), self._timeout_cb)
            return
        log.info("client too slow client=%s", self.peer)
        self.dismiss(TOO_SLOW)

    # -- what is written --

    async def push(self, status: str | bytes) -> None:
        """Write a line of aiosmtpd's own: the go-ahead of STARTTLS, which must be out before the handshake."""
        self._replies.append((status.encode("ascii", "replace") if isinstance(status, str) else status) + b"\r\n")
        self.write_replies()

    def answer(self, given: Reply) -> None:
        """Queue a reply; it is written when the client's pipelined commands are done (RFC 2920 3.2)."""
        if given is not self._last and given != self._last:  # thousands of recipients have the same one
            self._last, self._last_encoded = given, given.encode()
        self._replies.append(self._last_encoded)

    def write_replies(self) -> None:
        """Write what is queued, in one piece."""
        replies, self._replies = self._replies, []
        if replies and self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).write(replies[0] if len(replies) == 1 else b"".join(replies))

    async def flush(self) -> None:
        """Write what is queued, and wait where the client does not read."""
        self.write_replies()
        self._reset_timeout()
        await self._writer.drain()

    def dismiss(self, farewell: Reply) -> None:
        """Say a last word and close, at once: at the end of time, or where the service ends."""
        self.closing = True
        if self.transport is None or self.transport.is_closing():
            return
        self.answer(farewell)
        self.write_replies()
        self.hang_up()

    def hang_up(self) -> None:
        """Close; what the client does not read within its time is dropped."""
        transport = cast("asyncio.WriteTransport | None", self.transport)
        if transport is None:
            return
        transport.close()
        if transport.get_write_buffer_size():
            self.loop.call_later(self._timeout_duration, transport.abort)

    # -- the dialog --

    async def _handle_client(self) -> None:
        try:
            if await self._greet():
                await self._converse()
            self.write_replies()
        except TLSSetupException as error:
            log.info("no TLS client=%s error=%s", self.peer, error.__cause__)
            self.connection_lost(None)  # which a transport that never was does not call
        except ConnectionError as error:
            log.info("connection lost client=%s error=%s", self.peer, error)
        except Exception:
            log.exception("fault in a connection client=%s", self.peer)
            self.dismiss(FAULT)
        finally:
            self.hang_up()
            self._end()

    def _end(self) -> None:
        if self._timeout_handle:
            self._timeout_handle.cancel()
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
            if not data and not self.unfinished:
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
        """End: at once where the client is to speak next, else when its message is done."""
        self.winding_up = True
        if self._deadline < math.inf and not self.in_data:
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
        return Reply(220, (f"{self.hostname} ESMTP Gatekeeper",))

    @property
    def peer(self) -> str:
        """The IP address of the host that is connected; a unix socket's is this host, GONE who has left already."""
        name: object = self.session.peer if self.session else None
        if name is None:
            return GONE
        return str(name[0]).removeprefix("::ffff:") if isinstance(name, tuple) else "127.0.0.1"

    @property
    def peer_port(self) -> int:
        """Its TCP port; 0 for a unix socket."""
        name: object = self.session.peer if self.session else None
        return int(name[1]) if isinstance(name, tuple) else 0

    # -- what verbs.py does --

    def refusal(self) -> Reply | None:
        """The reply to a client that may not connect."""
        raise NotImplementedError

    async def run_pass(self) -> None:
        """Run the commands that are there."""
        raise NotImplementedError

    def ended(self) -> None:
        """Let go of everything."""
        raise NotImplementedError

    def _create_envelope(self) -> Envelope:
        return _NO_ENVELOPE  # ours is the exchange


_NO_ENVELOPE = Envelope()
