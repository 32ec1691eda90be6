"""The supervisor of a gate of several processes (`--workers`): it owns the sockets and the ops server.

The supervisor opens the sockets, so that a bad address fails at once and the death of a worker closes none; starts the
workers and the office, replaces those that end, and ends them in order. Mail never passes through it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter

from prometheus_client import CollectorRegistry

from gatekeeper.ops import log as transaction_log
from gatekeeper.ops.counts_folder import CountsFolder
from gatekeeper.ops.http import Answer, OpsServer
from gatekeeper.ops.metrics import Counters, Gauges, sum_processes
from gatekeeper.server.sockets import close_sockets
from gatekeeper.service.child_process import Child, environment_of_children
from gatekeeper.service.console_process import ConsoleProcess
from gatekeeper.service.context import make_store
from gatekeeper.service.database import DatabaseKeeper
from gatekeeper.service.front import ListenerSockets, open_sockets_of
from gatekeeper.service.gate import (
    GRACE,
    Gate,
    announce,
    ends_on_signals,
    in_service,
    let_gathers_wait,
    says_of_rules,
)
from gatekeeper.service.messages import OFFICE, StartParameters
from gatekeeper.settings import Settings

log = logging.getLogger("gatekeeper.supervisor")
_PATIENCE = 2 * GRACE + 10.0  # seconds: a process gives its clients GRACE, and its verdicts
_CONNECTIONS = 2  # to the database: a scrape and a look whether it is there


class Supervisor:
    """A gate of several processes."""

    def __init__(self, settings: Settings, log_key: bytes) -> None:
        """Start nothing yet; raises PolicyError, StoreSetupError, SettingsError, as the processes would."""
        self._settings, self._log_key = settings, log_key
        self._ruleset = Gate(settings, Counters(CollectorRegistry())).ruleset  # that processes can be made of all this
        registry = CollectorRegistry()
        self._gauges = Gauges(registry)
        self._database_keeper = DatabaseKeeper(make_store(settings.storing, _CONNECTIONS), writing=False)
        self._gauges.watch_ledger(self._database_keeper.summary)
        self._gauges.next_hop(settings.next_hop.kind)
        self.ops = OpsServer(settings.ops.ops, registry, self._ready) if settings.ops.ops else None
        self._folder = CountsFolder()
        sum_processes(registry, self._folder.path)
        self._sockets: ListenerSockets = {}
        self._console: ConsoleProcess | None = None
        self.children: list[Child] = []

    async def start(self) -> None:
        """Open sockets, ops server and database, then start the processes; raises OSError, StoreSetupError."""
        self._sockets = open_sockets_of(self._settings)
        if self.ops:
            self.ops.start()
        self._console = ConsoleProcess(self._settings, self._log_key, self._gauges.restart)
        await self._database_keeper.open(self._opened)  # it migrates, before several would
        self.children = self._make_children()
        self._changed()
        for child in self.children:
            child.start()
        announce(self._settings, self._sockets, self.ops, self._ruleset)
        self._console.start()

    async def _opened(self) -> None:
        """Let open gathers wait before an office can end one."""
        await asyncio.to_thread(let_gathers_wait, self._database_keeper.store, self._ruleset)

    async def stop(self) -> None:
        """Close the sockets, end the workers, then the office, which sends what they have queued."""
        self._close_sockets()
        if self._console:
            await self._console.stop()
        workers = [child for child in self.children if child.name != OFFICE]
        await asyncio.gather(*(child.end(_PATIENCE) for child in workers))
        for child in self.children:
            await child.end(_PATIENCE)
        await self._database_keeper.close()
        log.info("ended: all of them")

    def close(self) -> None:
        """Close whatever was opened, after a start that failed as after one that went well."""
        self._close_sockets()
        if self._console:
            self._console.close()
        if self.ops:
            self.ops.stop()
        self._folder.remove()

    def reload(self) -> None:
        """Tell all processes to read the rules anew."""
        for child in self.children:
            child.reload()

    def _close_sockets(self) -> None:
        for sockets in self._sockets.values():
            close_sockets(sockets)

    # -- the processes -------------------------------------------------------------------------------------------

    def _make_children(self) -> list[Child]:
        descriptors = {
            listener: tuple(each.fileno() for each in sockets) for listener, sockets in self._sockets.items()
        }
        workers = [self._child(f"worker-{number}", descriptors) for number in range(1, self._settings.workers + 1)]
        return [self._child(OFFICE, {}), *workers]

    def _child(self, name: str, descriptors: dict[str, tuple[int, ...]]) -> Child:
        orders = StartParameters(self._settings.texts, self._settings.origins, self._log_key.hex(), descriptors)
        return Child(name, orders, environment_of_children(self._folder.path), self._changed, self._gauges.restart)

    def _changed(self) -> None:
        """Take in that a process is ready, has other rules, or is gone."""
        reports = {child.name: child.report for child in self.children if child.report}
        ready = Counter(child.kind for child in self.children if child.report)
        kinds = {child.kind: ready[child.kind] for child in self.children}
        self._gauges.processes(kinds, {name: report.digest for name, report in reports.items()})
        recorded = reports.get(OFFICE)
        if recorded:
            self._gauges.ruleset(recorded.digest, recorded.title, recorded.review_date)

    def _ready(self) -> Answer:
        """Return whether mail can be taken in, and why not; called in threads of the ops server."""
        readable, reasons = self._database_keeper.answers()
        away = tuple(f"{child.name} is not ready" for child in self.children if not child.report)
        works = any(child.report and child.name != OFFICE for child in self.children)
        rules = says_of_rules(*(child.report.problem for child in self.children if child.report))
        return readable and works, (*reasons, *away, *rules)


async def run(settings: Settings) -> None:
    """Run a gate of several processes until SIGTERM or SIGINT; SIGHUP reloads. Raises what Supervisor raises."""
    log_key = secrets.token_bytes(16)
    transaction_log.configure(settings.ops, log_key)
    supervisor = Supervisor(settings, log_key)
    ending = ends_on_signals(supervisor.reload)
    try:
        await supervisor.start()
        async with in_service():
            await ending.wait()
        await supervisor.stop()
    finally:
        supervisor.close()
