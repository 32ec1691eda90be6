"""One SMTP connection to a next hop, from the greeting on: our own client, which pipelines and returns every reply.

The connection is in one of three states: between transactions (kept in the pool), within one (owned by a relay
transaction), or broken, after any error, 421 or cancellation.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.delivery.reply_stream import ReplyStream, Then, settle
from gatekeeper.delivery.route_url import Host, Security
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Client
from gatekeeper.smtp.dot_stuffing import stuffed, stuffed_whole
from gatekeeper.smtp.envelope import identity_command
from gatekeeper.smtp.replies import Reply

_GOODBYE_SECONDS = 2.0
_NOTHING: tuple[Sequence[str], Then] = ((), lambda said: None)
_WANTS_OURS = "it may want a certificate of ours, or another one (--next-hop ...?cert=FILE&key=FILE)"
_ONE_WRITE = 65_536  # octets up to which the parts of a message are joined and written at once


def wire_line(line: str) -> bytes:
    """Return a command line as octets."""
    return line.encode("utf-8", "surrogateescape") + b"\r\n"


@immutable
class Deadlines:
    """Seconds that a next hop may take for its answer to each step (RFC 5321 4.5.3.2)."""

    connect: float = 30
    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600
    other: float = 300
    reset: float = 10  # no client waits for it, so a short one does

    def capped(self, seconds: float) -> Deadlines:
        """Return the same, with none above `seconds`."""
        return replace(self, **{field.name: min(getattr(self, field.name), seconds) for field in fields(self)})


class SmtpClient:
    """A connection that was greeted. Made by `connect`."""

    def __init__(self, host: Host, stream: ReplyStream, deadlines: Deadlines) -> None:
        self.host, self.deadlines, self._stream = host, deadlines, stream
        self.offers: dict[str, str] = {}  # EHLO keyword, upper case -> its parameters
        self.client: Client | None = None  # the client named by XCLIENT
        self.used = False  # a transaction went over it before
        self.dot_sent = False  # of the transaction under way
        self._broken = False
        self._seconds = {"MAIL": deadlines.mail, "RCPT": deadlines.rcpt, "RSET": deadlines.reset}
        self._asked: tuple[Sequence[str], Then] = _NOTHING  # the commands of `say`, and what awaits their replies

    @property
    def usable(self) -> bool:
        """True where another transaction can be begun."""
        return not self._broken and self._stream.quiet

    @property
    def pipelines(self) -> bool:
        return "PIPELINING" in self.offers

    def say(self, octets: bytes, commands: Sequence[str], then: Then) -> None:
        """Send commands in one write without waiting, and call `then` with the replies in order once all have come.

        Args: `octets` of all commands; `commands` are their beginnings. `then` is called with NextHopError instead
        where the connection fails; 421 counts as its end (RFC 5321 3.8).
        """
        self._broken = True  # until every reply is read: if nobody waits for them any more, it cannot be used
        self._asked = (commands, then)
        seconds = self._seconds.get(commands[0][:4], self.deadlines.other)
        self._stream.say(octets, len(commands), seconds, self._said)

    def _said(self, said: list[Reply] | NextHopError) -> None:
        (commands, then), self._asked = self._asked, _NOTHING  # an idle connection must not keep the transaction alive
        if not isinstance(said, NextHopError):
            try:
                if len(said) > 1 or not said[0].ok:
                    self._check_all(commands, said)
                self._broken = False
            except NextHopError as error:
                said = error
        then(said)

    def _check_all(self, commands: Sequence[str], replies: list[Reply]) -> None:
        if replies[0].ok and replies.count(replies[0]) == len(replies):  # of thousands nearly all are the same
            return
        for command, reply in zip(commands, replies, strict=False):
            if reply.code == 421:
                raise NextHopError("closed", f"{self.host} said {reply}", reply)
            if 300 <= reply.code < 400:
                raise NextHopError("protocol", f"{self.host} answers {command[:4]} with {reply}", reply)

    async def batch(self, octets: bytes, commands: Sequence[str]) -> list[Reply]:
        """Do as `say`, and return the replies; none to no commands. Raises NextHopError."""
        if not commands:
            return []
        answered: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self.say(octets, commands, partial(settle, answered))
        return await answered

    async def commands(self, lines: Sequence[str]) -> list[Reply]:
        """Send commands, in one write where the next hop offers PIPELINING; return the replies in order.

        Raises NextHopError.
        """
        if self.pipelines:
            return await self.batch(b"".join(map(wire_line, lines)), lines)
        return [await self.command(line) for line in lines]

    async def command(self, line: str) -> Reply:
        """Send one command and return its reply; raise NextHopError."""
        return (await self.batch(wire_line(line), [line]))[0]

    # -- the message ---------------------------------------------------------------------------------------------

    async def message(self, chunks: Sequence[bytes]) -> Reply:
        """Send DATA, the message and its dot; return the reply that refuses DATA, or the final one.

        A 4xx or 5xx that comes before the dot is returned too, and ends the connection. Raises NextHopError; `dot_sent`
        tells then whether the next hop may have the message.
        """
        is_small = sum(map(len, chunks)) <= _ONE_WRITE
        reply = await self._data(stuffed_whole(chunks) if is_small else b"")
        if reply.code == 354 and not self.dot_sent:
            reply = await self._content(stuffed(chunks))
        if not (reply.transient or reply.permanent or (reply.ok and self.dot_sent)):  # a success before the dot is none
            raise NextHopError("protocol", f"{self.host} answers the message with {reply}", reply)
        return reply

    async def _data(self, octets: bytes) -> Reply:
        """Send DATA, and at 354 all these octets at once, so that a small message waits for one reply rather than two.

        Returns the final reply; the reply to DATA where there are no octets or the next hop has sent more than one
        reply.
        """
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._broken = True
        self._stream.say(b"DATA\r\n", 1, self.deadlines.data, partial(self._go_ahead, octets, answered))
        return await answered

    def _go_ahead(self, octets: bytes, answered: asyncio.Future[Reply], said: list[Reply] | NextHopError) -> None:
        if answered.done():  # cancelled
            return
        if not isinstance(said, NextHopError) and said[0].code == 354 and octets and self._stream.quiet:
            self.dot_sent = True  # point of no return: from here on the next hop may have the message
            self._stream.say(octets, 1, self.deadlines.dot, partial(self._end_data, answered))
        else:
            self._end_data(answered, said)

    def _end_data(self, answered: asyncio.Future[Reply], said: list[Reply] | NextHopError) -> None:
        if isinstance(said, NextHopError):
            settle(answered, said)
        elif said[0].code == 421 and not self.dot_sent:
            settle(answered, NextHopError("closed", f"{self.host} said {said[0]}", said[0]))
        else:
            self._broken = said[0].code == 421
            settle(answered, said[0])

    async def _content(self, blocks: Iterator[bytes | memoryview]) -> Reply:
        """Send the message after 354."""
        self._broken = True
        waiting = next(blocks)
        for block in blocks:
            if not await self._stream.writable(self.deadlines.block):
                return await self._early_reply()
            self._stream.write(waiting)
            waiting = block
            await asyncio.sleep(0)  # a fast next hop must not keep the loop from others
        if not await self._stream.writable(self.deadlines.block):
            return await self._early_reply()
        self.dot_sent = True  # point of no return: from here on the next hop may have the message
        self._stream.write(waiting)
        (reply,) = await self._stream.replies(b"", 1, self.deadlines.dot)
        self._broken = reply.code == 421
        return reply

    async def _early_reply(self) -> Reply:
        (reply,) = await self._stream.replies(b"", 1, self.deadlines.block)
        self.abort()
        if reply.transient or reply.permanent:
            return reply
        raise NextHopError("protocol", f"{self.host} said {reply} before the message's end", reply)

    async def reset(self) -> None:
        """End the transaction in progress, so that the connection can be kept; raise NextHopError."""
        self.dot_sent = False
        if not (await self.command("RSET")).ok:
            self._broken = True

    async def quit(self) -> None:
        """Send QUIT where that is possible, and close."""
        if self.usable:
            with contextlib.suppress(NextHopError):  # an error does not matter, as we close anyway
                await self._stream.replies(b"QUIT\r\n", 1, min(_GOODBYE_SECONDS, self.deadlines.other))
        self._stream.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._broken = True
        self._stream.abort()


# -- connecting --------------------------------------------------------------------------------------------------


async def connect(host: Host, hello: str, deadlines: Deadlines, client: Client | None = None) -> SmtpClient:
    """Connect, greet, encrypt and log in as the host's route says; send XCLIENT for `client` where it is offered.

    Args: `hello` is our name in EHLO. Raises NextHopError. A host of mx:// whose STARTTLS fails is used in the clear
    (RFC 7435): nothing better is possible without knowing its certificate.
    """
    try:
        return await _connect(host, hello, deadlines, client)
    except NextHopError as error:
        if error.kind != "tls" or host.security is not Security.OPPORTUNISTIC:
            raise
    connection = await _connect(replace(host, security=Security.NONE), hello, deadlines, client)
    connection.host = host  # the key under which the pool keeps it
    return connection


async def _connect(host: Host, hello: str, deadlines: Deadlines, client: Client | None) -> SmtpClient:
    connection = SmtpClient(host, await _dial(host, deadlines), deadlines)
    try:
        await _greet(connection, hello)
        await _encrypt(connection, hello)
        await _log_in(connection)
        await _send_xclient(connection, hello, client)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _dial(host: Host, deadlines: Deadlines) -> ReplyStream:
    context = host.tls.context() if host.tls and host.security is Security.TLS else None
    try:
        async with asyncio.timeout(deadlines.connect):
            name = host.name if context else None
            loop = asyncio.get_running_loop()
            _, stream = await loop.create_connection(
                ReplyStream, host.address or host.name, host.port, ssl=context, server_hostname=name
            )
    except ssl.SSLError as error:
        raise NextHopError("tls", f"TLS with {host} failed: {error}") from error
    except OSError as error:  # TimeoutError is one
        if context and isinstance(error, ConnectionAbortedError | ConnectionResetError):
            raise NextHopError("tls", f"{host} ends the connection as TLS begins; {_WANTS_OURS}") from error
        raise NextHopError("connect", f"no connection to {host}: {error or 'timed out'}") from error
    return stream


async def _greet(connection: SmtpClient, hello: str) -> None:
    with _as_tls_begins(connection.host) if connection.host.security is Security.TLS else contextlib.nullcontext():
        (greeting,) = await connection._stream.replies(b"", 1, connection.deadlines.greeting)
    if greeting.code != 220:
        raise NextHopError("greeting", f"{connection.host} greets with {greeting}", greeting)
    await _say_hello(connection, hello)


@contextlib.contextmanager
def _as_tls_begins(host: Host) -> Iterator[None]:
    """Say what it may mean that a connection ends with the handshake: by TLS 1.3 a client is refused after it."""
    try:
        yield
    except NextHopError as error:
        if error.reply or error.kind not in ("closed", "tls"):
            raise
        raise NextHopError("tls", f"{host} ends the connection as TLS begins: {error}; {_WANTS_OURS}") from error


async def _say_hello(connection: SmtpClient, hello: str) -> None:
    connection.offers = {}
    reply = await connection.command(f"EHLO {hello}")
    if reply.ok:
        pairs = (line.partition(" ")[::2] for line in reply.lines[1:])
        connection.offers = {keyword.upper(): parameters for keyword, parameters in pairs}
        return
    if reply.permanent:  # RFC 5321 3.2: an old server knows HELO alone
        reply = await connection.command(f"HELO {hello}")
    if not reply.ok:
        raise NextHopError("greeting", f"{connection.host} answers HELO with {reply}", reply)


async def _encrypt(connection: SmtpClient, hello: str) -> None:
    host = connection.host
    if host.security not in (Security.STARTTLS, Security.OPPORTUNISTIC) or host.tls is None:
        return
    if "STARTTLS" not in connection.offers:
        if host.security is Security.STARTTLS:
            raise NextHopError("tls", f"{host} does not offer STARTTLS, which smtp+starttls:// demands")
        return
    reply = await connection.command("STARTTLS")
    if reply.code != 220:
        raise NextHopError("tls", f"{host} answers STARTTLS with {reply}", reply)
    await connection._stream.encrypt(host.tls.context(), host.name, connection.deadlines.other)
    with _as_tls_begins(host):
        await _say_hello(connection, hello)  # RFC 3207 4.2: what was offered before does not count


async def _log_in(connection: SmtpClient) -> None:
    login = connection.host.login
    if login is None:
        return
    if "PLAIN" not in connection.offers.get("AUTH", "").upper().split():
        raise NextHopError("auth", f"{connection.host} does not offer AUTH PLAIN")
    secret = base64.b64encode(f"\0{login.user}\0{login.password}".encode()).decode("ascii")
    reply = await connection.command(f"AUTH PLAIN {secret}")
    if not reply.ok:
        raise NextHopError("auth", f"{connection.host} refuses the login: {reply}", reply)


async def _send_xclient(connection: SmtpClient, hello: str, client: Client | None) -> None:
    if client is None or "XCLIENT" not in connection.offers:
        return
    line = identity_command("XCLIENT", client, connection.offers["XCLIENT"])
    if line is None:
        return
    reply = await connection.command(line)
    if reply.code != 220:  # the session begins again with a greeting
        raise NextHopError("greeting", f"{connection.host} answers XCLIENT with {reply}", reply)
    connection.client = client
    await _say_hello(connection, hello)
