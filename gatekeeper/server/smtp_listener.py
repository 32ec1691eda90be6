"""The SMTP listener: a transparent proxy in front of the next hop (DESIGN 3.1, 7). This file opens and closes it."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from gatekeeper.server.at_once import QuickConnection
from gatekeeper.server.ports import NextHop, Pipeline
from gatekeeper.server.smtp_connection import log, settled
from gatekeeper.server.smtp_server import House
from gatekeeper.server.sockets import Acceptor, open_sockets
from gatekeeper.server.spool import Contents
from gatekeeper.settings import Listening, SettingsError
from gatekeeper.smtp.replies import Reply


def _nothing() -> Reply | None:
    """Where nothing stands in the way of new mail."""
    return None


class SmtpListener:
    """Takes in mail by SMTP.

    Args: `next_hop` is mirrored; `pipeline` decides; `sender_allowed` tells by MAIL FROM (never the null sender) who
    is let in; `obstacle` gives the reply to MAIL where no mail can be taken now, such as 452 4.3.1 with a full disk;
    `is_ours` tells of a recipient's address that the gate itself answers, so that no next hop is asked about it;
    `has_own` that there are such addresses at all; `contents` is what large messages share with other listeners.
    Raises SettingsError where the certificate is bad.
    """

    def __init__(
        self,
        settings: Listening,
        next_hop: NextHop,
        pipeline: Pipeline,
        sender_allowed: Callable[[str], bool],
        obstacle: Callable[[], Reply | None] = _nothing,
        is_ours: Callable[[str], bool] = lambda address: False,
        has_own: Callable[[], bool] = lambda: True,
        contents: Contents | None = None,
    ) -> None:
        self._settings = settings
        shared = contents or Contents(settings.memory_for_content)
        self._house = House(settings, next_hop, pipeline, sender_allowed, obstacle, is_ours, has_own, shared)
        self._doorkeeper: Acceptor | None = None
        self._tls = _tls_context(settings)

    @property
    def port(self) -> int:
        """The TCP port listened on; 0 before `start`, and for a unix socket."""
        names = [door.getsockname() for door in self._doorkeeper.sockets] if self._doorkeeper else []
        return int(names[0][1]) if names and isinstance(names[0], tuple) else 0

    @property
    def connections(self) -> int:
        """Connections now."""
        return len(self._house)

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen; raises OSError where the address cannot be had.

        Args: `sockets` listen already, those of --listen where none are given; they are closed at the end.
        """
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: a line a command
        self._house.shared = settled(
            hostname=self._settings.hostname, timeout=self._settings.command_timeout, tls_context=self._tls
        )
        self._doorkeeper = Acceptor(sockets or open_sockets(self._settings.listen), self._connection)

    async def stop(self, grace: float) -> None:
        """Take no more connections, answer 421 to idle clients, let messages under way end for `grace` seconds.

        Who was let in and has sent none yet may send one: a restart behind a socket that stays costs no client a retry.
        """
        if self._doorkeeper:
            self._doorkeeper.close()
            await self._doorkeeper.arrived()
        cut = await self._house.empty(grace)
        if cut:
            log.warning("%d connections were cut after %.0f seconds", cut, grace)

    def _connection(self) -> QuickConnection:
        return QuickConnection(self._house)


def _tls_context(settings: Listening) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"--tls-cert and --tls-key: {error.strerror or error}; expected a certificate and its key, PEM files"
        ) from error
    return context
