"""The front of a gate: its listeners and the pipeline behind them. Each worker has one."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial

from gatekeeper.address import normalise
from gatekeeper.model import Action
from gatekeeper.ops.log import Address, event
from gatekeeper.ops.tracing import Tracing, make_tracing
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.pipeline.transaction_report import Reporter
from gatekeeper.policy.acceptance import is_sender_allowed
from gatekeeper.policy.peer_settings import peer_warnings
from gatekeeper.policy.peers import PeerChecks
from gatekeeper.server.milter_server import SOCKET_MODE, MilterListener
from gatekeeper.server.smtp_listener import SmtpListener
from gatekeeper.server.smtp_server import MailAcceptance
from gatekeeper.server.sockets import open_sockets
from gatekeeper.server.spool import ContentSpool
from gatekeeper.service.context import ProcessContext
from gatekeeper.service.systemd import passed_sockets
from gatekeeper.settings import Endpoint, Settings, SettingsError
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.refusals import reason_of
from gatekeeper.smtp.replies import Reply

log = logging.getLogger("gatekeeper.main")
ListenerSockets = Mapping[str, Sequence[socket.socket]]  # listening sockets, by listener


def open_sockets_of(settings: Settings) -> ListenerSockets:
    """Return the sockets of every listener: those that a service manager holds for the gate, else opened here.

    Raises OSError, which names the flag, where an address cannot be had; SettingsError for a socket of no listener.
    """
    listening, passed = settings.listening, passed_sockets()
    if "milter" in passed and not listening.milter:
        raise SettingsError("--milter: a socket for it was passed, and it is off: expected the address of that socket")
    doors = {"smtp": passed.get("smtp") or _open("--listen", listening.listen)}
    if listening.milter:
        doors["milter"] = passed.get("milter") or _open("--milter", listening.milter, SOCKET_MODE)
    return doors


def _open(flag: str, endpoint: Endpoint, mode: int | None = None) -> list[socket.socket]:
    try:
        return open_sockets(endpoint, mode)
    except OSError as error:
        raise OSError(error.errno, f"{flag} {endpoint}: {error.strerror or error}") from error


class Front:
    """The listeners of a process, with the pipeline that decides their mail."""

    def __init__(self, base: ProcessContext) -> None:
        """Open nothing yet; raises SettingsError."""
        self._base = base
        self._tracing: Tracing | None = None
        self._warned: frozenset[str] = frozenset()  # of peers; each warning once, as long as it lasts
        report = Reporter(base.counts, base.auditor, None, base.contents, self._is_foreign).report
        judging, store = base.settings.judging, base.store
        marks = base.settings.next_hop.mark is not None
        self.pipeline = Pipeline(judging, base.active_policy, store, report, store.now, mode=base.mode, marks=marks)
        listening = base.settings.listening
        contents = ContentSpool(listening.memory_for_content, base.counts.content)
        peers = PeerChecks(lambda: base.active_policy.current)
        acceptance = MailAcceptance(
            self._sender_allowed,
            self._obstacle,
            self._is_preflight,
            self._has_preflight,
            base.active_policy.is_unknown,
            partial(self._refused, "smtp"),
            peers,
        )
        self.listener = SmtpListener(listening, base.next_hop, self.pipeline, acceptance, contents)
        self.milter = MilterListener(
            listening, self.pipeline, self._obstacle, contents, partial(self._refused, "milter"), peers
        )

    async def start(self, doors: ListenerSockets) -> None:
        """Accept connections on the sockets, which belong to the front from here on."""
        self.warn_of_peers()
        self._tracing = make_tracing()
        if self._tracing:
            self.pipeline.report = Reporter(
                self._base.counts, self._base.auditor, self._tracing, self._base.contents, self._is_foreign
            ).report
        await self.listener.start(doors["smtp"])
        await self.milter.start(doors.get("milter", ()))

    async def stop(self, grace: float) -> None:
        """Accept no more mail; give clients `grace` seconds to end, and verdicts as many."""
        await asyncio.gather(self.listener.stop(grace), self.milter.stop(grace))
        cut_off = await self.pipeline.tasks.drain(grace)
        if cut_off:
            log.warning("%d messages were cut off; their clients keep them", cut_off)
        if self._tracing:
            await asyncio.to_thread(self._tracing.close)

    def warn_of_peers(self) -> None:
        """Log what of the settings does not go with the peers in force."""
        found = list(peer_warnings(self._base.active_policy.current.peers, self._base.settings.listening))
        for text in found:
            if text not in self._warned:
                log.warning("peers: %s", text)
        self._warned = frozenset(found)

    def _sender_allowed(self, mail_from: str, client: str) -> bool:
        if self._is_foreign(mail_from):
            self._base.counts.observed(Action.REJECT)
            event("sender would be refused", {"client": client, "from": Address(mail_from)})
        return self._base.mode.observes or self._is_ours(mail_from)

    def _is_ours(self, mail_from: str) -> bool:
        domains, directory = self._base.settings.listening.sender_domains, self._base.active_policy.current.directory
        return not mail_from or is_sender_allowed(mail_from, domains, directory)

    def _is_foreign(self, mail_from: str) -> bool:
        """Return True for whom mail is taken of only because the gate observes."""
        return self._base.mode.observes and not self._is_ours(mail_from)

    def _refused(self, listener: str, stage: str, reply: Reply) -> None:
        self._base.counts.refused(listener, stage, reason_of(reply))

    def _has_preflight(self) -> bool:
        return self._base.active_policy.current.ruleset.preflight is not None

    def _is_preflight(self, address: str) -> bool:
        preflight = self._base.active_policy.current.ruleset.preflight
        return preflight is not None and normalise(address) == preflight

    def _obstacle(self) -> Reply | None:
        """Return 452 for MAIL while the disk is nearly full.

        Nothing is acknowledged that cannot be stored.
        """
        return policy_replies.disk_full() if self._base.store.is_short_of_space(time.monotonic()) else None
