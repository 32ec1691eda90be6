"""What tests of the listener share: the listener on a real port before a real sink, and a client that says bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gatekeeper.delivery import NextHop
from gatekeeper.model import Transaction
from gatekeeper.policy.peers import PeerChecks
from gatekeeper.server.smtp_listener import SmtpListener
from gatekeeper.server.smtp_server import MailAcceptance
from gatekeeper.settings import Settings, read_settings
from gatekeeper.smtp.replies import Reply
from tests.peers.sink import Sink

PATIENCE = 10.0  # seconds for anything over loopback; a test that needs more has failed


class Client:
    """Says bytes and reads replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await self.reader.readline()).decode().rstrip("\r\n")

    async def reply(self) -> str:
        """One reply, its lines with "|" between them; "" where the listener has closed."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "|".join(lines)

    async def ask(self, command: str | bytes) -> str:
        self.say(command if isinstance(command, bytes) else command + "\r\n")
        return await self.reply()

    async def replies(self, count: int) -> list[str]:
        return [await self.reply() for _ in range(count)]

    async def envelope(self, *recipients: str, sender: str = "a@doa.example.gov") -> str:
        """EHLO to 354."""
        await self.ask("EHLO client.example.gov")
        await self.ask(f"MAIL FROM:<{sender}>")
        for recipient in recipients or ("b@example.org",):
            await self.ask(f"RCPT TO:<{recipient}>")
        return await self.ask("DATA")

    async def rest(self) -> bytes:
        """All that still comes until the listener closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def reset(self) -> None:
        """Leave with a TCP reset."""
        socket_ = self.writer.get_extra_info("socket")
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def leave(self) -> None:
        self.writer.close()


@dataclass
class Passer:
    """A pipeline that passes on what comes; `before` is awaited first and may give another reply."""

    before: Callable[[Transaction], Awaitable[Reply | None]] | None = None
    added: bytes = b""
    seen: list[Transaction] = field(default_factory=list)
    answers: list[Reply] = field(default_factory=list)

    async def receive(self, transaction: Transaction, relay: Callable[[bytes], Awaitable[Reply]]) -> Reply:
        self.seen.append(transaction)
        answer = await self.before(transaction) if self.before else None
        self.answers.append(answer or await relay(self.added))
        return self.answers[-1]


@dataclass
class Door:
    """A listener that stands, and what is behind it."""

    listener: SmtpListener
    sink: Sink
    pipeline: Passer
    next_hop: NextHop
    clients: list[Client] = field(default_factory=list)

    async def silent(self) -> Client:
        """A client that has not read the greeting."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.listener.port))
        self.clients.append(client)
        return client

    async def client(self) -> Client:
        client = await self.silent()
        assert (await client.reply()).startswith("220 ")
        return client


def settings_with(sink: Sink, **texts: str) -> Settings:
    given = {"listen": "127.0.0.1:0", "hostname": "gate.example.gov", "next_hop": f"smtp://127.0.0.1:{sink.port}"}
    return read_settings(given | {"next_hop_timeout": "5s"} | texts, {})


@asynccontextmanager
async def open_door(
    sink: Sink | None = None,
    pipeline: Passer | None = None,
    sender_allowed: Callable[[str, str], bool] = lambda sender, client: True,
    obstacle: Callable[[], Reply | None] = lambda: None,
    is_ours: Callable[[str], bool] = lambda address: False,
    is_unknown: Callable[[str], bool] = lambda address: False,
    peers: PeerChecks | None = None,
    **texts: str,
) -> AsyncIterator[Door]:
    """Args: `texts` are settings as they would be typed."""
    async with sink or Sink() as behind:
        settings = settings_with(behind, **texts)
        next_hop, passer = NextHop(settings.next_hop), pipeline or Passer()
        acceptance = MailAcceptance(
            sender_allowed, obstacle, is_ours, is_unknown=is_unknown, peers=peers or PeerChecks()
        )
        listener = SmtpListener(settings.listening, next_hop, passer, acceptance)
        await listener.start()
        door = Door(listener, behind, passer, next_hop)
        try:
            yield door
        finally:
            for client in door.clients:
                client.leave()
            await listener.stop(1.0)
            await next_hop.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process or room
            await asyncio.sleep(0.005)
