"""One SMTP connection to a next hop, from the greeting on: our own client, which pipelines and gives every reply.

The connection is in one of three states: between transactions (kept in the pool), within one (owned by a
relay transaction), or broken, which is where any error, 421 or cancellation leaves it.
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
from gatekeeper.delivery.reply_stream import Channel, Then, ThenAll
from gatekeeper.delivery.route_url import Host, Security
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Client
from gatekeeper.smtp.dot_stuffing import stuffed, stuffed_whole
from gatekeeper.smtp.envelope import identity_command
from gatekeeper.smtp.replies import Reply

_GOODBYE_SECONDS = 2.0
_NOTHING: tuple[bytes, Then] = (b"", lambda said: None)
_ONE_WRITE = 65_536  # octets of a message that are put together rather than written one after the other


def wire_line(line: str) -> bytes:
    """A command's line as it goes over the wire."""
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
    reset: float = 10  # nobody waits for it but us

    def capped(self, seconds: float) -> Deadlines:
        """The same, none above `seconds`."""
        return replace(self, **{field.name: min(getattr(self, field.name), seconds) for field in fields(self)})

    def of(self, command: str) -> float:
        """The deadline for a command's reply."""
        verb = command[:4]
        if verb == "RCPT":
            return self.rcpt
        return {"MAIL": self.mail, "DATA": self.data, "RSET": self.reset}.get(verb, self.other)


class Connection:
    """A connection that was greeted. Made by `connect`."""

    def __init__(self, host: Host, channel: Channel, deadlines: Deadlines) -> None:
        self.host, self.deadlines, self._channel = host, deadlines, channel
        self.offers: dict[str, str] = {}  # EHLO keyword, upper case -> its parameters
        self.client: Client | None = None  # whom it speaks for, by XCLIENT
        self.used = False  # a transaction went over it before
        self.dot_sent = False  # of the transaction under way
        self._broken = False
        self._asking: tuple[bytes, Then] = _NOTHING  # what `say` said, and who is told the reply

    @property
    def usable(self) -> bool:
        """True where another transaction can be begun."""
        return not self._broken and self._channel.quiet

    @property
    def pipelines(self) -> bool:
        return "PIPELINING" in self.offers

    async def commands(self, lines: Sequence[str]) -> list[Reply]:
        """Send commands, in one write where the next hop offers PIPELINING; a reply for each, in order.

        Raises NextHopError; 421 counts as the connection's end (RFC 5321 3.8).
        """
        if self.pipelines:
            return await self.batch(b"".join(map(wire_line, lines)), lines)
        return [await self.command(line) for line in lines]

    async def batch(self, octets: bytes, commands: Sequence[str]) -> list[Reply]:
        """Send commands in one write, whether or not PIPELINING is offered; a reply for each, in order.

        Args: `octets` of all of them; `commands` are what they begin with. Raises as `commands` does.
        """
        self._broken = True  # until every reply is read: cancelled between, the connection is of no use
        if octets:
            self._channel.write(octets)
        replies: list[Reply] = []
        while len(replies) < len(commands):
            seconds = self.deadlines.of(commands[len(replies)])
            some = await self._channel.replies(len(commands) - len(replies), seconds)
            if not (some[0].ok and some.count(some[0]) == len(some)):  # thousands are the same, for the most part
                for command, reply in zip(commands[len(replies) :], some, strict=False):
                    self._checked(command, reply)
            replies += some
        self._broken = False
        return replies

    async def command(self, line: str) -> Reply:
        """Send one command; raises NextHopError."""
        return (await self.batch(wire_line(line), [line]))[0]

    def say(self, command: bytes, seconds: float, then: Then) -> None:
        """As `command`, without waiting: `then` is given the reply as it comes, or the error that would be raised.

        Args: `command` with its CRLF; `seconds` that the reply may take.
        """
        self._broken, self._asking = True, (command, then)
        self._channel.ask(command, seconds, self._said)

    def _said(self, said: Reply | NextHopError) -> None:
        (command, then), self._asking = self._asking, _NOTHING  # a kept connection keeps nobody
        if isinstance(said, Reply):
            try:
                self._checked(command[:4].decode(), said)
                self._broken = False
            except NextHopError as error:
                said = error
        then(said)

    def say_all(self, octets: bytes, commands: Sequence[str], seconds: float, then: ThenAll) -> None:
        """As `batch`, without waiting: `then` is given all replies, or the error that would be raised."""
        self._broken = True
        self._channel.ask_all(octets, len(commands), seconds, partial(self._all_said, commands, then))

    def _all_said(self, commands: Sequence[str], then: ThenAll, said: list[Reply] | NextHopError) -> None:
        if not isinstance(said, NextHopError):
            try:
                for command, reply in zip(commands, said, strict=False):
                    self._checked(command, reply)
                self._broken = False
            except NextHopError as error:
                said = error
        then(said)

    def _checked(self, line: str, reply: Reply) -> Reply:
        if reply.code == 421:
            raise NextHopError("closed", f"{self.host} said {reply}", reply)
        if 300 <= reply.code < 400 and line != "DATA":
            raise NextHopError("protocol", f"{self.host} answers {line[:4]} with {reply}", reply)
        return reply

    # -- the message --

    async def message(self, chunks: Sequence[bytes]) -> Reply:
        """Say DATA, then send the message and its dot: the reply that refuses DATA, or the final one.

        A 4xx or 5xx that comes before the dot is returned too, and ends the connection. Raises NextHopError; then
        `dot_sent` tells whether the next hop may have the message.
        """
        is_small = sum(map(len, chunks)) <= _ONE_WRITE
        reply = await self._data(stuffed_whole(chunks) if is_small else b"")
        if reply.code == 354 and not self.dot_sent:
            reply = await self._content(stuffed(chunks))
        if not (reply.transient or reply.permanent or (reply.ok and self.dot_sent)):  # a success without it is none
            raise NextHopError("protocol", f"{self.host} answers the message with {reply}", reply)
        return reply

    async def _data(self, octets: bytes) -> Reply:
        """Say DATA, and at 354 all these octets, so that a small message waits for one reply rather than two.

        The final reply, or that to DATA where there are no octets, or the next hop has said more than that.
        """
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._broken = True
        self._channel.ask(b"DATA\r\n", self.deadlines.data, partial(self._go_ahead, octets, answered))
        return await answered

    def _go_ahead(self, octets: bytes, answered: asyncio.Future[Reply], said: Reply | NextHopError) -> None:
        if answered.done():  # cancelled
            return
        if isinstance(said, Reply) and said.code == 354 and octets and self._channel.quiet:
            self.dot_sent = True  # point of no return: from here on the next hop may have the message
            self._channel.ask(octets, self.deadlines.dot, partial(self._settle, answered))
        else:
            self._settle(answered, said)

    def _settle(self, answered: asyncio.Future[Reply], said: Reply | NextHopError) -> None:
        if answered.done():
            return
        if isinstance(said, NextHopError):
            answered.set_exception(said)
        elif said.code == 421 and not self.dot_sent:
            answered.set_exception(NextHopError("closed", f"{self.host} said {said}", said))
        else:
            self._broken = said.code == 421
            answered.set_result(said)

    async def _content(self, blocks: Iterator[bytes | memoryview]) -> Reply:
        """Send the message after 354."""
        self._broken = True
        waiting = next(blocks)
        for block in blocks:
            if not await self._channel.writable(self.deadlines.block):
                return await self._early_reply()
            self._channel.write(waiting)
            waiting = block
            await asyncio.sleep(0)  # a fast next hop must not keep the loop from others
        if not await self._channel.writable(self.deadlines.block):
            return await self._early_reply()
        self.dot_sent = True  # point of no return: from here on the next hop may have the message
        self._channel.write(waiting)
        reply = await self._channel.reply(self.deadlines.dot)
        self._broken = reply.code == 421
        return reply

    async def _early_reply(self) -> Reply:
        reply = await self._channel.reply(self.deadlines.block)
        self.abort()
        if reply.transient or reply.permanent:
            return reply
        raise NextHopError("protocol", f"{self.host} said {reply} before the message's end", reply)

    async def reset(self) -> None:
        """End the transaction under way, so that the connection can be kept; raises NextHopError."""
        self.dot_sent = False
        if not (await self.command("RSET")).ok:
            self._broken = True

    async def quit(self) -> None:
        """Say goodbye where that is possible, and close."""
        if self.usable:
            self._channel.write(b"QUIT\r\n")
            with contextlib.suppress(NextHopError):  # gone already is what was wanted
                await self._channel.reply(min(_GOODBYE_SECONDS, self.deadlines.other))
        self._channel.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._broken = True
        self._channel.abort()


# -- making one --------------------------------------------------------------------------------------------------


async def connect(host: Host, hello: str, deadlines: Deadlines, client: Client | None = None) -> Connection:
    """Connect, greet, encrypt and log in as the host's route says; speak for `client` where XCLIENT is offered.

    Args: `hello` is what we say in EHLO. Raises NextHopError. A host of mx:// whose STARTTLS fails is spoken to in
    the clear (RFC 7435): nothing better can be had without knowing its certificate.
    """
    try:
        return await _connect(host, hello, deadlines, client)
    except NextHopError as error:
        if error.kind != "tls" or host.security is not Security.OPPORTUNISTIC:
            raise
    connection = await _connect(replace(host, security=Security.NONE), hello, deadlines, client)
    connection.host = host  # by which it is kept
    return connection


async def _connect(host: Host, hello: str, deadlines: Deadlines, client: Client | None) -> Connection:
    connection = Connection(host, await _dial(host, deadlines), deadlines)
    try:
        await _greet(connection, hello)
        await _encrypt(connection, hello)
        await _log_in(connection)
        await _speak_for(connection, hello, client)
    except BaseException:
        connection.abort()
        raise
    return connection


async def _dial(host: Host, deadlines: Deadlines) -> Channel:
    context = host.context if host.security is Security.TLS else None
    try:
        async with asyncio.timeout(deadlines.connect):
            name = host.name if context else None
            loop = asyncio.get_running_loop()
            _, channel = await loop.create_connection(
                Channel, host.address or host.name, host.port, ssl=context, server_hostname=name
            )
    except ssl.SSLError as error:
        raise NextHopError("tls", f"TLS with {host} failed: {error}") from error
    except OSError as error:  # TimeoutError is one
        raise NextHopError("connect", f"no connection to {host}: {error or 'timed out'}") from error
    return channel


async def _greet(connection: Connection, hello: str) -> None:
    greeting = await connection._channel.reply(connection.deadlines.greeting)
    if greeting.code != 220:
        raise NextHopError("greeting", f"{connection.host} greets with {greeting}", greeting)
    await _say_hello(connection, hello)


async def _say_hello(connection: Connection, hello: str) -> None:
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


async def _encrypt(connection: Connection, hello: str) -> None:
    host = connection.host
    if host.security not in (Security.STARTTLS, Security.OPPORTUNISTIC) or host.context is None:
        return
    if "STARTTLS" not in connection.offers:
        if host.security is Security.STARTTLS:
            raise NextHopError("tls", f"{host} does not offer STARTTLS, which smtp+starttls:// demands")
        return
    reply = await connection.command("STARTTLS")
    if reply.code != 220:
        raise NextHopError("tls", f"{host} answers STARTTLS with {reply}", reply)
    await connection._channel.encrypt(host.context, host.name, connection.deadlines.other)
    await _say_hello(connection, hello)  # RFC 3207 4.2: what was offered before does not count


async def _log_in(connection: Connection) -> None:
    login = connection.host.login
    if login is None:
        return
    if "PLAIN" not in connection.offers.get("AUTH", "").upper().split():
        raise NextHopError("auth", f"{connection.host} does not offer AUTH PLAIN")
    secret = base64.b64encode(f"\0{login.user}\0{login.password}".encode()).decode("ascii")
    reply = await connection.command(f"AUTH PLAIN {secret}")
    if not reply.ok:
        raise NextHopError("auth", f"{connection.host} refuses the login: {reply}", reply)


async def _speak_for(connection: Connection, hello: str, client: Client | None) -> None:
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
