"""A client's connection: does what its session wants done (`smtp/session.py`), with sockets, tasks and the clock.

aiosmtpd's SMTP keeps the life of a connection: transports, sessions, STARTTLS. What is slow or wrong in it for a proxy
is replaced, here and nowhere else:

- its set-up, which looks through every method of the class for each connection, and makes a stream reader and a writer;
- the dialog, which `smtp/session.py` has: aiosmtpd has a task step, a write and a timer for each command;
- time: one deadline, which the server checks from time to time;
- a client that closes its side: its earlier commands are still done and answered (aiosmtpd cancels its handler).

The dialog goes on as soon as what it waits for is there: within the callback that brings octets of the client or
replies of the next hop. Only what has to be awaited has a task.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, cast

from aiosmtpd.smtp import SMTP, TLSSetupException

from gatekeeper.delivery.transaction import RelayTransaction
from gatekeeper.ops.log import event
from gatekeeper.server.certificates import names_on
from gatekeeper.server.connections import GONE, peer_of
from gatekeeper.server.data_intake import Intake
from gatekeeper.server.receive_buffer import ReceiveBuffer
from gatekeeper.server.smtp_server import SmtpServer
from gatekeeper.smtp import wanted
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.replies import Reply, reply
from gatekeeper.smtp.session import Session
from gatekeeper.smtp.session_replies import EARLY, FAULT, GOING_DOWN, TOO_SLOW

_NO_REPLY_YET = reply(451, "No answer yet from the next mail server; the message may have been sent", "4.4.2")
_LINGER_SECONDS = 3.0  # a silent client is waited for, once the service ends
_TURNS = 2  # of the loop, in which what a client sends without waiting for the greeting is read
_LATER = object()  # in place of an outcome: `_resume` is called when it is there


class SmtpConnection(SMTP):
    """One client, from greeting to close."""

    def __init__(self, server: SmtpServer) -> None:
        self.__dict__.update(server.shared)
        self.loop = asyncio.get_running_loop()
        self.peer = GONE
        self._out: asyncio.WriteTransport | None = None  # the transport, as long as there is one
        self.closing = False  # nothing more is done for the client
        self.write_paused = False  # the client does not read our replies
        self.receive_buffer = ReceiveBuffer()
        self._server, self._settings = server, server.settings
        self._session: Session
        self._dialog: wanted.Dialog
        self._take: Callable[[bytes], None] = self.receive_buffer.feed  # what octets of the client are given to
        self._task: asyncio.Task[Any] | None = None  # whose outcome the dialog waits for, and that ends with the client
        self._waits_for_room = False  # the dialog goes on when the client reads
        self._deadline = math.inf  # until which the client is to speak; infinity where it is not its turn
        self._latest_set = math.inf  # the deadline that was set last
        self._held_since = 0.0
        self._relayed: RelayTransaction | None = None  # the transaction at the next hop
        self._intake: Intake | None = None  # of the message that comes in
        self._dot = 0.0  # when it had come
        self._judging: asyncio.Task[Reply] | None = None
        self._latest: asyncio.TimerHandle | None = None  # when its client is to be told that there is no reply yet
        self._left = False

    # -- what the transport calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self._out = transport, cast(asyncio.WriteTransport, transport)
        self.receive_buffer.transport = cast(asyncio.ReadTransport, transport)
        self.session = self._create_session()
        self.session.peer = transport.get_extra_info("peername")
        if self._original_transport is not None:  # STARTTLS put this transport over another
            assert self._tls_protocol is not None
            self.session.ssl = self._tls_protocol._extra
            self.receive_buffer.clear()  # octets that came in the clear (RFC 3207 4.2)
            self._reset_deadline()
            self._deadline = math.inf
            return
        self.peer, port = peer_of(self.session.peer, "127.0.0.1")
        buffer = self.receive_buffer
        self._session = Session(self._server, ClientIdentity(self.peer, port), lambda: buffer.waiting)
        self._dialog = self._session.dialog()
        self._reset_deadline()
        self.loop.call_soon(self._welcome, self._server.add(self), _TURNS)

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        except MemoryError as error:
            self._clear_intake()
            self._tell("no memory for what a client sent", level=logging.ERROR, error=error)
            self.close_with(FAULT)

    def eof_received(self) -> bool:
        """Keep our side open, so that earlier commands are answered. TLS has no half-closed state."""
        self.receive_buffer.eof = True
        if self._take != self.receive_buffer.feed:
            self.leave()  # nothing is under way
        return self.session is None or self.session.ssl is None

    def connection_lost(self, error: Exception | None) -> None:
        self.closing, self.transport, self._out, self.receive_buffer.transport = True, None, None, None
        if self._original_transport is not None:
            self._original_transport.close()
        if self._task is not None:
            self._task.cancel()
        self.leave()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._waits_for_room:
            self._waits_for_room = False
            self._reset_deadline()
            if (octets := self._read()) is not _LATER:
                self._resume(octets)

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the loop's time, in seconds."""
        return self.loop.time()

    def _reset_deadline(self, duration: float | None = None) -> None:
        """Set the deadline to `duration` seconds from now."""
        if self._session.lingering and not self._session.in_message:
            duration = _LINGER_SECONDS
        self._deadline = self._latest_set = self.loop.time() + (duration or self._timeout_duration)

    def check_deadline(self, now: float) -> None:
        """Close the connection where its deadline has passed. Args: `now` by the loop's clock."""
        if now < self._deadline or self.receive_buffer.held:
            return
        self._deadline = math.inf
        if self._session.lingering and not self._session.in_message:
            self.close_with(GOING_DOWN)
        else:
            self._tell("client too slow")
            self.close_with(TOO_SLOW)

    def pause_reading(self) -> None:
        """Read nothing from the client until `resume_reading`; its deadline is extended by that time."""
        self._held_since = self.now()
        self.receive_buffer.pause()

    def resume_reading(self) -> None:
        """Read on."""
        self.receive_buffer.resume()
        self._deadline += self.now() - self._held_since

    def _tell(self, what: str, level: int = logging.INFO, error: BaseException | None = None) -> None:
        event(what, {"client": self.peer}, level, error)

    # -- the dialog ----------------------------------------------------------------------------------------------

    def _welcome(self, refused: Reply | None, turns: int) -> None:
        """Begin the dialog, unless the client may not connect or has sent octets before the greeting."""
        if self.closing:
            return  # it has left already, or the service has ended
        if turns:
            self.loop.call_soon(self._welcome, refused, turns - 1)
            return
        if not refused and self.receive_buffer.waiting:
            refused = EARLY
        if refused:
            event("connection refused", {"client": self.peer, "reply": str(refused)})
            self.close_with(refused, "connect")
        else:
            self._resume(None)

    def _resume(self, outcome: object) -> None:
        """Let the dialog go on with what it waits for, and do what it wants next, until something is to come later."""
        if self.closing:
            return
        self._take, self._deadline = self.receive_buffer.feed, math.inf  # it is not the client's turn
        send, do = self._dialog.send, self._do
        try:
            while outcome is not _LATER:
                wants = send(outcome)
                outcome = do[type(wants)](self, wants)
        except StopIteration:
            self._write_replies()
            self.leave()
        except Exception as error:
            self._tell("fault in a connection", level=logging.ERROR, error=error)
            self.close_with(FAULT)

    def _resume_after(self, task: asyncio.Task[Any]) -> None:
        """Let the dialog go on with what a task has returned."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TLSSetupException):
            event("no TLS", {"client": self.peer, "error": str(error.__cause__)})
            self.connection_lost(None)  # the TLS transport was never made, so it does not call this
        elif error is not None:
            self._tell("fault in a connection", level=logging.ERROR, error=error)
            self.close_with(FAULT)
        elif not task.cancelled():
            self._resume(task.result())

    def _await(self, work: Coroutine[Any, Any, object]) -> object:
        """Have the outcome awaited in a task that ends when the client leaves."""
        self._task = self.loop.create_task(work)
        self._task.add_done_callback(self._awaited)
        return _LATER

    def _awaited(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        self._resume_after(task)

    def shut_down(self) -> None:
        """End the connection when its message is done: the one in progress, or the one that a new client is about to
        send.

        A client whose turn it is and that sends nothing within a moment is closed; at once where it has sent a message
        before and has begun no other.
        """
        session = self._session
        session.stop()
        if self._deadline == math.inf or session.in_message:
            return  # it is not the client's turn
        if session.lingering:
            self._reset_deadline()
        else:
            self.close_with(GOING_DOWN)

    # -- what the session wants: each returns the outcome, or _LATER ---------------------------------------------

    def _read(self, wants: wanted.Wanted = wanted.READ) -> object:
        is_answered = bool(self._session.replies)
        self._write_replies()
        buffer = self.receive_buffer
        if self.write_paused:
            self._waits_for_room = True
        elif buffer.waiting:
            return buffer.take()
        elif buffer.eof:
            self.leave()
            return _LATER
        else:
            self._take = self._resume
        if is_answered:
            self._reset_deadline()
        else:
            self._deadline = self._latest_set  # of a command that comes by and by
        return _LATER

    def _find_offers(self, wants: wanted.FindOffers) -> object:
        known = self._server.offers_at_once()
        return self._await(self._server.offers()) if known is None else known

    def _start_tls(self, wants: wanted.StartTls) -> object:
        return self._await(self._encrypt())

    async def _encrypt(self) -> tuple[str, ...]:
        """Encrypt the connection; return the dNSNames of the client's certificate, where it has shown one."""
        assert self._server.tls is not None
        self.tls_context = self._server.tls.now()
        await super().smtp_STARTTLS("")
        return names_on(self.session.ssl.get("peercert") if self.session and self.session.ssl else None)

    def _ask(self, wants: wanted.Ask) -> object:
        if self._relayed is None:
            mail = wants.mail
            self._relayed = self._server.next_hop.begin(mail.address, mail.parameters, wants.client)
        self._relayed.ask(wants.recipients, self._resume)
        return _LATER

    def _abandon(self, wants: wanted.Abandon) -> object:
        self._clear_intake()
        relayed, self._relayed = self._relayed, None
        if relayed is None:
            return None
        self._server.track(relayed.abandon()).add_done_callback(self._resume_after)
        return _LATER

    def _take_message(self, wants: wanted.TakeMessage) -> object:
        self._write_replies()
        self._intake = Intake(self, self._settings, wants.limit, self._server.contents)
        self._reset_deadline(self._settings.data_timeout)
        self._take = self._take_block
        if self.receive_buffer.eof:
            self.leave()
        return _LATER

    def _take_block(self, data: bytes) -> None:
        intake = self._intake
        assert intake is not None
        self._reset_deadline(self._settings.data_timeout)
        rest = intake.feed(data)
        if rest is None:
            return
        self._take, self._deadline, self._dot = self.receive_buffer.feed, math.inf, self.now()
        if rest:
            self.receive_buffer.feed(rest)
        content = intake.take()
        if content is None:
            self._await(intake.content(self._server.answer_within))
        else:
            self._resume(content)

    def _judge(self, wants: wanted.Judge) -> object:
        """Have the message judged, in a task that outlives the connection, and has the room of a large one."""
        relayed, self._relayed = self._relayed, None  # from here on it is not this connection's to abandon
        intake, self._intake = self._intake, None
        assert relayed is not None and intake is not None
        self._judging = work = self._server.track(self._server.judge(wants.transaction, relayed, intake.clear))
        work.add_done_callback(self._was_judged)
        if self._server.answer_within is not None:
            self._latest = self.loop.call_at(self._dot + self._server.answer_within, self._no_reply_yet)
        return _LATER

    def _was_judged(self, work: asyncio.Task[Reply]) -> None:
        if self._judging is not work:
            return  # the client was told that there is no reply yet
        self._judging = None
        if self._latest is not None:
            self._latest.cancel()  # else it keeps this connection for as long as it would have waited
        self._resume_after(work)

    def _no_reply_yet(self) -> None:
        """Answer the dot where the client will not wait longer; the work goes on."""
        self._judging = None
        self._tell("no reply in time, the outcome is unknown", level=logging.WARNING)
        self._resume(_NO_REPLY_YET)

    _do: ClassVar[Mapping[type, Callable[[Any, Any], object]]] = {
        wanted.Read: _read,
        wanted.FindOffers: _find_offers,
        wanted.StartTls: _start_tls,
        wanted.Ask: _ask,
        wanted.Abandon: _abandon,
        wanted.TakeMessage: _take_message,
        wanted.Judge: _judge,
    }

    # -- what is written, and the end ----------------------------------------------------------------------------

    async def push(self, status: str | bytes) -> None:
        """Write a line of aiosmtpd's own: the reply to STARTTLS, which must be sent before the handshake."""
        octets = status.encode("ascii", "replace") if isinstance(status, str) else status
        self._session.replies.append(octets + b"\r\n")
        self._write_replies()

    def _write_replies(self) -> None:
        replies, out = self._session.replies, self._out
        if replies and out is not None:
            self._session.replies = []
            out.write(replies[0] if len(replies) == 1 else b"".join(replies))

    def close_with(self, farewell: Reply, stage: str = "") -> None:
        """Send a last reply and close at once: to a stranger, at the deadline, or where the service ends."""
        self.closing, self._take = True, _ignore
        if farewell is not GOING_DOWN:
            self._server.refused(stage or ("data" if self._session.in_message else "command"), farewell)
        if self._out is not None and not self._out.is_closing():
            self._session.replies.append(farewell.encode())
            self._write_replies()
            self._hang_up()

    def _hang_up(self) -> None:
        """Close the transport, once; octets that the client does not read within its time are dropped."""
        out = self._out
        if out is None or out.is_closing():  # a TLS transport must not be closed twice
            return
        out.close()
        if out.get_write_buffer_size():
            self.loop.call_later(self._timeout_duration, out.abort)

    def abort(self) -> None:
        """End without a reply."""
        self.closing = True
        if self._out is not None:
            self._out.abort()

    def leave(self) -> None:
        """Close, and release everything, once. A message that is being judged is not given up."""
        self.closing, self._take = True, _ignore
        self._hang_up()
        if self._left:
            return
        self._left = True
        self._server.remove(self)
        self._clear_intake()
        self._dialog.close()
        relayed, self._relayed = self._relayed, None
        if relayed is not None:
            self._server.track(relayed.abandon())

    def _clear_intake(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.clear()


def _ignore(data: bytes) -> None:
    """Ignore octets that come after the end."""
