"""A next hop to test against: a real SMTP server over loopback that does as it is told, faults included.

async with Sink(refuse={"a@example.org": "550 5.1.1 no such user"}) as sink:
    sink.at("DOT", drop(), times=1)
    ...
    assert sink.mails[0].content == content
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OFFERS = ("PIPELINING", "SIZE 100000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
STEPS = ("CONNECT", "EHLO", "HELO", "STARTTLS", "AUTH", "XCLIENT", "MAIL", "RCPT", "DATA", "BLOCK", "DOT")
STEPS += ("RSET", "NOOP", "QUIT")
_END = b"\r\n.\r\n"


@dataclass(frozen=True)
class Mail:
    """One message that the sink took."""

    sender: str
    mail_parameters: tuple[str, ...]
    recipients: list[tuple[str, tuple[str, ...]]]
    content: bytes = field(repr=False)
    connection: int
    stuffed: bytes = field(repr=False)  # as it was on the wire, up to the dot
    helo: str = ""
    tls: bool = False
    client: Mapping[str, str] = field(default_factory=dict)  # attributes of XCLIENT

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.recipients]


@dataclass(frozen=True)
class Act:
    """What the sink does at a step instead of, or before, its usual answer."""

    kind: str
    text: str = ""
    seconds: float = 0.0


def say(text: str) -> Act:
    """Answer with these lines ("\\r\\n" between them) and go on."""
    return Act("say", text)


def say_and_close(text: str) -> Act:
    return Act("say_and_close", text)


def close() -> Act:
    """Read the command and close without an answer; at DOT nothing is recorded."""
    return Act("close")


def reset() -> Act:
    """As close, with a TCP reset."""
    return Act("reset")


def close_after() -> Act:
    """Answer as usual, then close before the next command is read."""
    return Act("close_after")


def hang() -> Act:
    """Never answer again, and keep the connection."""
    return Act("hang")


def delay(seconds: float) -> Act:
    return Act("delay", seconds=seconds)


def drop() -> Act:
    """At DOT: record the message, then close without an answer."""
    return Act("drop")


@dataclass
class _Rule:
    act: Act
    times: float
    skip: int


class _Gone(Exception):
    """The connection is over."""


class Sink:
    """A scriptable SMTP server.

    Args: `offers` are the EHLO keywords; `refuse` maps addresses to replies of their RCPT; `recipient_limit` answers
    452 4.5.3 to what is over it; `certificate` is a tests.peers.certificates.Certificate, which offers STARTTLS
    (`implicit_tls`: TLS from the start); `login` is (user, password) for AUTH PLAIN, then demanded before MAIL;
    `ehlo` False answers 502 to EHLO; `receive_buffer` are the octets that may wait for it in the kernel.
    """

    def __init__(
        self,
        *,
        offers: Iterable[str] = OFFERS,
        refuse: Mapping[str, str] | None = None,
        recipient_limit: int = 1_000_000,
        certificate=None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
        xclient: bool = False,
        ehlo: bool = True,
        receive_buffer: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.offers, self.refuse, self.recipient_limit = list(offers), dict(refuse or {}), recipient_limit
        self.certificate = certificate
        self.tls: ssl.SSLContext | None = certificate.server_context() if certificate else None
        self.implicit_tls, self.login, self.xclient, self.ehlo = implicit_tls, login, xclient, ehlo
        self.host, self.port, self.receive_buffer = host, port, receive_buffer
        self.mails: list[Mail] = []
        self.connections = 0
        self.commands: Counter[str] = Counter()
        self.log: list[tuple[int, str]] = []  # connection and command line
        self.waiting = 0  # the most commands that lay in the buffer at once, the one being read included
        self.chunks: list[tuple[int, int]] = []  # of each read: connection, octets
        self._rules: dict[str, list[_Rule]] = {}
        self._server: asyncio.Server | None = None
        self._open: dict[int, _Session] = {}

    # -- life --

    async def __aenter__(self) -> Sink:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen; after down() again on the same port."""
        context = self.tls if self.implicit_tls else None
        listening = socket.create_server((self.host, self.port), backlog=512)
        if self.receive_buffer:  # connections get it from the socket that they come to
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self._server = await asyncio.start_server(self._serve, sock=listening, ssl=context, backlog=512)
        self.port = listening.getsockname()[1]

    async def down(self) -> None:
        """Stop listening and drop all connections."""
        if self._server:
            self._server.close()
            self._server = None
        await self.close_kept()

    async def close_kept(self) -> None:
        """Close every connection that is open, as a server does with idle ones."""
        sessions = list(self._open.values())
        for session in sessions:
            session.task.cancel()
        await asyncio.gather(*(session.task for session in sessions), return_exceptions=True)

    # -- what it is told, and what it saw --

    def at(self, step: str, act: Act, *, times: float = float("inf"), skip: int = 0) -> None:
        """Do `act` at a step (a verb, or CONNECT, BLOCK for the content's first octets, DOT), `times` times.

        The first `skip` passes are as usual.
        """
        assert step in STEPS, f"{step}: expected one of {STEPS}"
        self._rules.setdefault(step, []).append(_Rule(act, times, skip))

    def behave(self) -> None:
        """Forget all that at() told."""
        self._rules.clear()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    @property
    def recipients(self) -> list[str]:
        """Every recipient that mail was taken for, repeats included."""
        return [address for mail in self.mails for address in mail.addresses]

    def limit_reply(self, recipients: list[str], address: str) -> str:
        """The reply to a recipient over the limit; "" where there is room."""
        return "452 4.5.3 too many recipients" if len(recipients) >= self.recipient_limit else ""

    def took(self, mail: Mail) -> None:
        """Called with each message that was taken."""

    def act_at(self, step: str) -> Act | None:
        for rule in self._rules.get(step, ()):
            if rule.skip > 0:
                rule.skip -= 1
            elif rule.times > 0:
                rule.times -= 1
                return rule.act
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = _Session(self, self.connections, reader, writer)
        self._open[session.id] = session
        try:
            await session.run()
        except (_Gone, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            del self._open[session.id]
            writer.close()


class _Session:
    """One connection."""

    def __init__(self, sink: Sink, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink, self.id, self.reader, self.writer = sink, number, reader, writer
        self.task = asyncio.current_task()
        self.buffer = bytearray()
        self.helo, self.client, self.authenticated = "", {}, False
        self.encrypted = sink.implicit_tls
        self._forget()

    def _forget(self) -> None:
        self.sender: str | None = None
        self.parameters: tuple[str, ...] = ()
        self.recipients: list[tuple[str, tuple[str, ...]]] = []

    async def run(self) -> None:
        await self.answer("CONNECT", "220 sink.example.org ESMTP")
        while True:
            line = await self.read_line()
            verb = line[:8].partition(" ")[0].upper()
            self.sink.commands[verb] += 1
            self.sink.log.append((self.id, line))
            handler = getattr(self, f"on_{verb.lower()}", None)
            if handler is None:
                await self.say("500 5.5.1 command not known")
            else:
                await handler(line.partition(" ")[2])

    # -- octets --

    async def read_some(self) -> None:
        data = await self.reader.read(262_144)
        if not data:
            raise _Gone
        self.sink.chunks.append((self.id, len(data)))
        self.buffer += data

    async def read_line(self) -> str:
        while (end := self.buffer.find(b"\r\n")) < 0:
            await self.read_some()
            self.sink.waiting = max(self.sink.waiting, self.buffer.count(b"\r\n"))
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line.decode("utf-8", "surrogateescape")

    async def say(self, text: str) -> None:
        if text:
            self.writer.write(text.encode("utf-8", "surrogateescape") + b"\r\n")
        if b"\r\n" not in self.buffer:  # more commands wait: their answers go together
            await self.writer.drain()

    async def answer(self, step: str, usual: str) -> str:
        """Do what was told for the step, or give the usual answer; returns the answer given."""
        return await self.perform(self.sink.act_at(step), usual)

    async def perform(self, act: Act | None, usual: str) -> str:
        if act is None:
            await self.say(usual)
            return usual
        return await getattr(self, f"_{act.kind}")(act, usual)

    async def _say(self, act: Act, _usual: str) -> str:
        await self.say(act.text)
        return act.text

    async def _say_and_close(self, act: Act, _usual: str) -> str:
        await self.say(act.text)
        await self.writer.drain()
        raise _Gone

    async def _close(self, _act: Act, _usual: str) -> str:
        raise _Gone

    async def _drop(self, _act: Act, _usual: str) -> str:
        raise _Gone

    async def _reset(self, _act: Act, _usual: str) -> str:
        self.writer.transport.abort()
        raise _Gone

    async def _close_after(self, act: Act, usual: str) -> str:
        return await self._say_and_close(Act("say_and_close", usual), usual)

    async def _hang(self, _act: Act, _usual: str) -> str:
        while await self.reader.read(65536):
            pass
        raise _Gone

    async def _delay(self, act: Act, usual: str) -> str:
        await asyncio.sleep(act.seconds)
        await self.say(usual)
        return usual

    # -- verbs --

    async def on_ehlo(self, name: str) -> None:
        self.helo = name
        self._forget()
        offers = list(self.sink.offers)
        if self.sink.tls and not self.encrypted:
            offers.append("STARTTLS")
        if self.sink.login:
            offers.append("AUTH PLAIN LOGIN")
        if self.sink.xclient:
            offers.append("XCLIENT NAME ADDR PORT PROTO HELO LOGIN")
        if not self.sink.ehlo:
            await self.answer("EHLO", "502 5.5.1 EHLO is not known here")
            return
        names = ["sink.example.org", *offers]
        lines = [f"250-{name}" for name in names[:-1]] + [f"250 {names[-1]}"]
        await self.answer("EHLO", "\r\n".join(lines))

    async def on_helo(self, name: str) -> None:
        self.helo = name
        self._forget()
        await self.answer("HELO", "250 sink.example.org")

    async def on_starttls(self, _: str) -> None:
        given = await self.answer("STARTTLS", "220 2.0.0 go ahead")
        if given.startswith("220"):
            await self.writer.drain()
            await self.writer.start_tls(self.sink.tls)
            self.encrypted, self.buffer = True, bytearray()

    async def on_auth(self, argument: str) -> None:
        expected = base64.b64encode("\0{}\0{}".format(*self.sink.login or ("", "")).encode()).decode()
        self.authenticated = argument == f"PLAIN {expected}"
        await self.answer("AUTH", "235 2.7.0 welcome" if self.authenticated else "535 5.7.8 wrong")

    async def on_xclient(self, argument: str) -> None:
        self.client.update(pair.split("=", 1) for pair in argument.split())
        self._forget()
        await self.answer("XCLIENT", "220 sink.example.org ESMTP")

    async def on_mail(self, argument: str) -> None:
        usual = "250 2.1.0 ok"
        if self.sink.login and not self.authenticated:
            usual = "530 5.7.0 authentication required"
        elif self.sender is not None:
            usual = "503 5.5.1 nested MAIL"
        given = await self.answer("MAIL", usual)
        if given.startswith("2"):
            self.sender, self.parameters = _path(argument)
            self.recipients = []

    async def on_rcpt(self, argument: str) -> None:
        address, parameters = _path(argument)
        usual = "250 2.1.5 ok"
        if self.sender is None:
            usual = "503 5.5.1 MAIL first"
        elif full := self.sink.limit_reply([each for each, _ in self.recipients], address):
            usual = full
        given = await self.answer("RCPT", self.sink.refuse.get(address, usual))
        if given.startswith("2"):
            self.recipients.append((address, parameters))

    async def on_data(self, _: str) -> None:
        if not self.recipients:
            await self.answer("DATA", "554 5.5.1 no valid recipients")
            return
        given = await self.answer("DATA", "354 go ahead")
        if given.startswith("354"):
            if not self.buffer:
                await self.read_some()
            early = self.sink.act_at("BLOCK")
            if early:
                await self.perform(early, "")
            stuffed = await self._read_content()
            if early and early.kind == "say":  # that was the answer; the rest is read and thrown away
                self._forget()
            else:
                await self._take(stuffed)

    async def _read_content(self) -> bytes:
        searched = 0
        while self.buffer[:3] != b".\r\n" and (end := self.buffer.find(_END, searched)) < 0:
            searched = max(0, len(self.buffer) - len(_END))
            await self.read_some()
        end = 0 if self.buffer[:3] == b".\r\n" else end + 2
        stuffed = bytes(self.buffer[:end])
        del self.buffer[: end + 3]
        return stuffed

    async def _take(self, stuffed: bytes) -> None:
        self.sink.commands["DOT"] += 1
        act = self.sink.act_at("DOT")
        if act is None or act.kind in ("drop", "delay", "close_after") or act.text.startswith("2"):
            self.sink.mails.append(self._mail(stuffed))
            self.sink.took(self.sink.mails[-1])
        self._forget()
        await self.perform(act, "250 2.0.0 taken")

    def _mail(self, stuffed: bytes) -> Mail:
        content = (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:]
        return Mail(
            sender=self.sender or "",
            mail_parameters=self.parameters,
            recipients=self.recipients,
            content=content,
            connection=self.id,
            stuffed=stuffed,
            helo=self.helo,
            tls=self.encrypted,
            client=dict(self.client),
        )

    async def on_rset(self, _: str) -> None:
        self._forget()
        await self.answer("RSET", "250 2.0.0 ok")

    async def on_noop(self, _: str) -> None:
        await self.answer("NOOP", "250 2.0.0 ok")

    async def on_quit(self, _: str) -> None:
        await self.answer("QUIT", "221 2.0.0 bye")
        await self.writer.drain()
        raise _Gone


def _path(argument: str) -> tuple[str, tuple[str, ...]]:
    """Read `FROM:<a@b> X Y=Z`."""
    path, _, parameters = argument.partition("<")[2].rpartition(">")
    return path, tuple(parameters.split())
