"""The SMTP listener: a transparent proxy before the next hop (docs/flow.md). This file opens and closes it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP

from gatekeeper.server.certificates import listener_tls
from gatekeeper.server.ports import ListenerNextHop, ListenerPipeline
from gatekeeper.server.smtp_connection import SmtpConnection
from gatekeeper.server.smtp_server import MailAcceptance, SmtpServer
from gatekeeper.server.sockets import Acceptor, open_sockets
from gatekeeper.server.spool import ContentSpool
from gatekeeper.settings import Listening

log = logging.getLogger("gatekeeper.smtp")


class SmtpListener:
    """Takes in mail by SMTP.

    Args: `next_hop` is mirrored; `pipeline` decides; `acceptance` says which mail is accepted; `contents` is the memory
    for large messages, shared with other listeners. Raises SettingsError where the certificate is bad.
    """

    def __init__(
        self,
        settings: Listening,
        next_hop: ListenerNextHop,
        pipeline: ListenerPipeline,
        acceptance: MailAcceptance,
        contents: ContentSpool | None = None,
    ) -> None:
        self._settings = settings
        shared = contents or ContentSpool(settings.memory_for_content)
        self._server = SmtpServer(settings, next_hop, pipeline, acceptance, shared)
        self._acceptor: Acceptor | None = None
        self._server.tls = listener_tls(settings)

    @property
    def port(self) -> int:
        """The TCP port; 0 before `start`, and for a unix socket."""
        names = [door.getsockname() for door in self._acceptor.sockets] if self._acceptor else []
        return int(names[0][1]) if names and isinstance(names[0], tuple) else 0

    @property
    def connections(self) -> int:
        """The number of connections."""
        return len(self._server)

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen; raise OSError where the address is taken.

        Args: `sockets` listen already; without them those of --listen are opened. They are closed at the end.
        """
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd logs a line for each command
        self._server.shared = _shared_attributes(
            hostname=self._settings.hostname, timeout=self._settings.command_timeout
        )
        self._acceptor = Acceptor(sockets or open_sockets(self._settings.listen), partial(SmtpConnection, self._server))

    async def stop(self, grace: float) -> None:
        """Accept no more connections, answer 421 to idle clients, and let messages in progress end within `grace`
        seconds.

        A client that is connected and has sent no message yet may still send one, so that a restart behind a socket
        that stays open costs no client a retry.
        """
        if self._acceptor:
            self._acceptor.close()
            await self._acceptor.wait_for_accepted()
        cut = await self._server.drain(grace)
        if cut:
            log.warning("%d connections were cut after %.0f seconds", cut, grace)


def _shared_attributes(**arguments: Any) -> dict[str, Any]:
    """Return the attributes that SMTP.__init__ makes of its arguments and that all connections can share."""
    return vars(SMTP(None, **arguments))
