"""The milter listener: MTAs hand it each message before they accept it. This file opens and closes it.

It has no next hop: a message that may pass is left to the MTA, a held one is discarded there once it is stored here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from gatekeeper.delivery.mark import Mark
from gatekeeper.milter import packets
from gatekeeper.milter.packets import GarbageError
from gatekeeper.milter.session import Conclusion, Message, MessageLimits, Session
from gatekeeper.ops.log import event
from gatekeeper.policy.peers import PeerChecks
from gatekeeper.server.connections import Connections, OnRefused, peer_of, uncounted
from gatekeeper.server.milter_handler import MilterHandler
from gatekeeper.server.ports import ListenerPipeline
from gatekeeper.server.sockets import Acceptor
from gatekeeper.server.spool import ContentSpool
from gatekeeper.settings import Listening
from gatekeeper.smtp.replies import Reply

log = logging.getLogger("gatekeeper.milter")
_BLOCK = 65_536  # octets read and processed at once: thousands of packets where these are small
_IDLE_SECONDS = 7210.0  # an MTA's client may pause between commands; libmilter waits as long
_PROGRESS_SECONDS = 10.0  # between progress packets during a judgment: Postfix waits at least 30 s for each
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # an option of Linux alone
SOCKET_MODE = 0o660  # of a unix socket's file: the MTA is in its group


class MilterListener:
    """Takes in messages from MTAs by the milter protocol.

    Args: `pipeline` decides; `obstacle` returns the reply while no mail can be taken, such as 452 4.3.1; `contents` is
    the memory for large messages, shared with other listeners; `refused` is called with what is refused before any rule
    is asked; `peers` tell whether mail is theirs.
    """

    def __init__(
        self,
        settings: Listening,
        pipeline: ListenerPipeline,
        obstacle: Callable[[], Reply | None],
        contents: ContentSpool | None = None,
        refused: OnRefused = uncounted,
        peers: PeerChecks | None = None,
    ) -> None:
        self._settings = settings
        self.connections = Connections(settings, settings.max_connections, refused)  # an MTA has one for each client
        mark = Mark(settings.mark) if settings.mark else None
        self.handler = MilterHandler(settings, pipeline, obstacle, refused, peers or PeerChecks(), mark)
        self._contents = contents or ContentSpool(settings.memory_for_content)
        self._acceptor: Acceptor | None = None

    @property
    def port(self) -> int:
        """The TCP port; 0 before `start`, and for a unix socket."""
        names = [door.getsockname() for door in self._acceptor.sockets] if self._acceptor else []
        return int(names[0][1]) if names and isinstance(names[0], tuple) else 0

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections from sockets that listen already; they are closed at the end."""
        self._acceptor = Acceptor(sockets, self._protocol)

    async def stop(self, grace: float) -> None:
        """Accept no more connections, close idle ones, and let messages in progress end within `grace` seconds."""
        if self._acceptor:
            self._acceptor.close()
        cut = await self.connections.drain(grace)
        if cut:
            log.warning("%d connections were cut after %.0f seconds", cut, grace)

    def _protocol(self) -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=_BLOCK), self._serve)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Coroutine[Any, Any, None]:
        """Make the connection as soon as it is accepted: later the peer's address may be unknown."""
        return MilterConnection(self.connections, self.handler, self._contents, reader, writer).run()


class MilterConnection:
    """One connection of an MTA, which handles its clients one after the other."""

    def __init__(
        self,
        connections: Connections,
        handler: MilterHandler,
        contents: ContentSpool,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        settings = handler.settings
        self._settings, self._connections, self._handler = settings, connections, handler
        self._reader, self._writer = reader, writer
        self.peer = _peer(writer)
        self._is_tcp = isinstance(writer.get_extra_info("sockname"), tuple)
        self._may_read = asyncio.Event()
        self._may_read.set()
        caps = MessageLimits(settings.max_recipients, settings.max_size)
        self._session = Session(caps, lambda: contents.spool(self._may_read.clear, self._may_read.set))
        self._judging = False
        self._shutting_down = False
        self._packet: int | None = None  # the one of which a part has come, and until when the rest is to come
        self._packet_until = 0.0

    async def run(self) -> None:
        """Serve the connection to its end. An error closes this connection, and no other."""
        refused = self._connections.add(self)
        try:
            if refused:
                self._connections.refused("connect", refused)
                event("connection refused", {"client": self.peer, "reply": str(refused)})
            else:
                await self._converse()
        except GarbageError as error:
            event("not the milter protocol", {"client": self.peer, "error": str(error)})
        except TimeoutError:
            event("nothing came, or was read, in time", {"client": self.peer})
            self.abort()
        except ConnectionError as error:
            event("connection lost", {"client": self.peer, "error": str(error)})
        except Exception as error:
            event("fault in a connection", {"client": self.peer}, logging.ERROR, error)
        finally:
            self._connections.remove(self)
            self._session.close()
            self._writer.close()

    async def _converse(self) -> None:
        session = self._session
        while not session.ended and not (self._shutting_down and not session.in_message):
            octets = await self._receive()
            if not octets:
                return
            await asyncio.sleep(0)  # others are served between its blocks, however fast they come
            session.feed(octets)
            while (message := session.run()) is not None:
                await self._write(session.answers())
                session.conclude(await self._judged(message))
            await self._write(session.answers())
            self._note_unfinished()

    async def _receive(self) -> bytes:
        """Return octets that have come in; b"" at the end. Raises TimeoutError."""
        await self._may_read.wait()  # until earlier content was stored in memory or on disk
        self._acknowledge_at_once()
        now = asyncio.get_running_loop().time()
        until = now + (self._settings.data_timeout if self._session.in_content else _IDLE_SECONDS)
        async with asyncio.timeout_at(until if self._packet is None else min(until, self._packet_until)):
            return await self._reader.read(_BLOCK)

    def _note_unfinished(self) -> None:
        """Give a packet of which a part has come one deadline, whatever comes of it by and by."""
        packet, self._packet = self._packet, self._session.unfinished_packet
        if self._packet is not None and self._packet != packet:
            self._packet_until = asyncio.get_running_loop().time() + self._settings.command_timeout

    def _acknowledge_at_once(self) -> None:
        """Have the kernel acknowledge what comes next without the delay of RFC 1122 4.2.3.2.

        MTAs write packets that need no answer one by one, and the next waits for the acknowledgement of the last (RFC
        896). The kernel forgets the option after a while: it is set before each read.
        """
        if self._is_tcp and _QUICKACK is not None:
            with suppress(OSError, ValueError):  # closed, which uvloop's sockets tell by ValueError
                self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    async def _write(self, octets: bytes) -> None:
        if octets:
            if self._writer.is_closing():  # uvloop raises RuntimeError where the transport is closed
                raise ConnectionResetError("the MTA left before the answer")
            self._writer.write(octets)
            async with asyncio.timeout(self._settings.command_timeout):
                await self._writer.drain()

    async def _judged(self, message: Message) -> Conclusion:
        """Have the message judged, in a task that goes on when the MTA hangs up."""
        self._judging = True
        work = self._connections.track(self._handler.judge(message, self.peer))
        while not (await asyncio.wait([work], timeout=_PROGRESS_SECONDS))[0]:
            await self._write(packets.PROGRESS)
        self._judging = False
        return work.result()

    def shut_down(self) -> None:
        """End: at once where no message is in progress, else after it."""
        self._shutting_down = True
        if not self._judging and not self._session.in_message:
            self._writer.close()

    def abort(self) -> None:
        """End without an answer."""
        self._writer.transport.abort()


def _peer(writer: asyncio.StreamWriter) -> str:
    """Return the MTA's IP address; "" on a unix socket, GONE where it has left already."""
    return peer_of(writer.get_extra_info("peername"), "")[0]
