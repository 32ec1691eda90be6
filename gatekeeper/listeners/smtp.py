"""The SMTP listener: a transparent proxy in front of the next hop (DESIGN 3.1, 7). This file opens and closes it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from gatekeeper.listeners.connection import log, settled
from gatekeeper.listeners.house import House
from gatekeeper.listeners.seams import NextHop, Pipeline
from gatekeeper.listeners.verbs import SmtpConnection
from gatekeeper.settings import Listening, SettingsError
from gatekeeper.wire.replies import Reply

_BACKLOG = 1024


def _nothing() -> Reply | None:
    """Where nothing stands in the way of new mail."""
    return None


class SmtpListener:
    """Takes in mail by SMTP.

    Args: `next_hop` is mirrored; `pipeline` decides; `sender_allowed` tells by MAIL FROM (never the null sender) who
    is let in; `obstacle` gives the reply to MAIL where no mail can be taken now, such as 452 4.3.1 with a full disk.
    """

    def __init__(
        self,
        settings: Listening,
        next_hop: NextHop,
        pipeline: Pipeline,
        sender_allowed: Callable[[str], bool],
        obstacle: Callable[[], Reply | None] = _nothing,
    ) -> None:
        self._settings = settings
        self._house = House(settings, next_hop, pipeline, sender_allowed, obstacle)
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port listened on; 0 before `start`, and for a unix socket."""
        names = [socket.getsockname() for socket in self._server.sockets] if self._server else []
        return int(names[0][1]) if names and isinstance(names[0], tuple) else 0

    @property
    def connections(self) -> int:
        """Connections now."""
        return len(self._house)

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had, SettingsError where the certificate is bad."""
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: a line a command
        context = self._tls_context()
        self._house.shared = settled(
            hostname=self._settings.hostname, timeout=self._settings.command_timeout, tls_context=context
        )
        listen, loop = self._settings.listen, asyncio.get_running_loop()
        if listen.path:
            self._server = await loop.create_unix_server(self._connection, listen.path, backlog=_BACKLOG)
        else:
            self._server = await loop.create_server(self._connection, listen.host, listen.port, backlog=_BACKLOG)

    async def stop(self, grace: float) -> None:
        """Take no more connections, answer 421 to idle clients, let messages under way end for `grace` seconds."""
        if self._server:
            self._server.close()
        cut = await self._house.empty(grace)
        if cut:
            log.warning("%d connections were cut after %.0f seconds", cut, grace)

    def _connection(self) -> SmtpConnection:
        return SmtpConnection(self._house)

    def _tls_context(self) -> ssl.SSLContext | None:
        if not self._settings.tls_cert:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(
                f"--tls-cert and --tls-key: {error.strerror or error}; expected a certificate and its key, PEM files"
            ) from error
        return context
