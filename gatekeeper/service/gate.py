"""Puts a gate together: what `gatekeeper serve` runs. Wiring only.

A gate is one process with both roles, or with `--workers` several processes: the supervisor starts workers, each a
`Gate` with the front, and one `Gate` with the office.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Flag, auto
from functools import partial

from gatekeeper.lib import __version__
from gatekeeper.lib.aio import started_threads
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.ops import log as transaction_log
from gatekeeper.ops.http import Answer, OpsServer
from gatekeeper.ops.metrics import Counters, Metrics
from gatekeeper.policy.reloader import Reloader, SourceRecords
from gatekeeper.rules import Ruleset
from gatekeeper.server.sockets import address_of
from gatekeeper.service import systemd
from gatekeeper.service.console_process import ConsoleProcess
from gatekeeper.service.context import ProcessContext
from gatekeeper.service.database import DatabaseKeeper
from gatekeeper.service.front import Front, ListenerSockets, open_sockets_of
from gatekeeper.service.heartbeat import Heartbeat
from gatekeeper.service.office import Office
from gatekeeper.settings import SETTINGS, Settings
from gatekeeper.store import OutageLog, Store, gathering

log = logging.getLogger("gatekeeper.main")
GRACE = 30.0  # seconds that mail on its way has when we are told to end
_THREADS = 4  # for what takes long: reading large messages, hashing
_CONNECTIONS, _WORKER_CONNECTIONS = 8, 4  # to the database at once; the queue reads much beside the writer


# Takes the ruleset in force, and why the rules on disk cannot be used ("" where they can).
OnRules = Callable[[Ruleset, str], None]


class Role(Flag):
    """What a process of the gate does."""

    FRONT = auto()
    OFFICE = auto()
    ALL = FRONT | OFFICE


class Gate:
    """The roles of a gate that run in this process."""

    def __init__(
        self,
        settings: Settings,
        counts: Counters,
        roles: Role = Role.ALL,
        on_rules: OnRules = lambda ruleset, problem: None,
        name: str = "gate",
    ) -> None:
        """Read the rules, open nothing yet; raises PolicyError, StoreSetupError, SettingsError.

        Args: `on_rules` is called after each attempt to read changed rules; `name` is the process's.
        """
        connections = _CONNECTIONS if Role.OFFICE in roles else _WORKER_CONNECTIONS
        self.base = base = ProcessContext(settings, counts, connections, name)
        self.front = Front(self.base) if Role.FRONT in roles else None
        self.office = Office(self.base) if Role.OFFICE in roles else None
        self.database_keeper = DatabaseKeeper(self.base.store)
        self.reloader = Reloader(
            self.base.active_policy, self._on_reload, SourceRecords(base.active_policy, base.store)
        )
        self.heartbeat = Heartbeat(name, base.active_policy, base.mode, base.store, lambda: self.reloader.problem)
        self._on_rules = on_rules
        self._recording: asyncio.Task[None] | None = None

    @property
    def ruleset(self) -> Ruleset:
        """The ruleset that this process judges by."""
        return self.base.active_policy.current.ruleset

    async def start(self, doors: ListenerSockets) -> None:
        """Open the database, then accept mail; raises StoreSetupError where the database can never be used."""
        asyncio.get_running_loop().set_default_executor(started_threads(_THREADS, "work"))
        if self.office:
            self.base.counts.reload(True)
        await self.database_keeper.open(self._opened)
        self.reloader.start()
        self.base.auditor.start()
        self.base.contents.start()
        if self.front:
            await self.front.start(doors)

    async def _opened(self) -> None:
        """Start what needs the database, now that it is there."""
        await self.base.mode.refresh(self.base.store)  # before the first message
        await self.reloader.use_store()
        self.base.mode.start(self.base.store)
        self.heartbeat.start()
        if self.front:  # the end of an office cuts no connection
            await asyncio.to_thread(let_gathers_wait, self.base.store, self.ruleset)
        if self.office:
            await self.office.start()

    async def stop(self) -> None:
        """Let what is on its way end, then close."""
        log.info("ending: mail on its way has %.0f seconds", GRACE)
        if self.front:
            await self.front.stop(GRACE)
        if self.office:
            await self.office.stop(GRACE)
        await self.reloader.stop()
        await self.base.mode.stop()
        await self.heartbeat.stop()
        await asyncio.to_thread(self.base.contents.stop)
        await asyncio.to_thread(self.base.auditor.stop)
        await self.base.next_hop.close()
        await self.database_keeper.close()
        log.info("ended")

    def _on_reload(self, went_well: bool) -> None:
        if self.office:
            self.base.counts.reload(went_well)
        if went_well:
            self.base.expect_counts()
            if self.front:
                self.front.warn_of_peers()
        if self.database_keeper.is_open:
            self._recording = asyncio.create_task(self._tell_ruleset() if went_well else self.heartbeat.tell())
        self._on_rules(self.ruleset, self.reloader.problem)

    async def _tell_ruleset(self) -> None:
        if self.office:
            await self.office.record_ruleset()
        await self.heartbeat.tell()


class SingleProcessGate:
    """A gate of one process: both roles, and the ops server."""

    def __init__(self, settings: Settings, log_key: bytes) -> None:
        """Raises what Gate raises. Args: `log_key` of hashed addresses, the console's too."""
        self.metrics, self._rules_problem = Metrics(), ""
        self.gate = Gate(settings, self.metrics, Role.ALL, self._show)
        database_keeper = self.gate.database_keeper
        self.metrics.watch_ledger(database_keeper.summary)
        self.metrics.next_hop(settings.next_hop.kind)
        ops = settings.ops.ops
        self.ops = OpsServer(ops, self.metrics.registry, self.ready) if ops else None
        self._settings, self._log_key = settings, log_key
        self._console: ConsoleProcess | None = None

    async def start(self) -> None:
        """Open sockets and the ops server; raises OSError where an address cannot be had, and what Gate raises."""
        doors = open_sockets_of(self._settings)
        if self.ops:
            self.ops.start()
        self._console = ConsoleProcess(self._settings, self._log_key, self.metrics.restart)
        self._show(self.gate.ruleset)
        await self.gate.start(doors)
        announce(self._settings, doors, self.ops, self.gate.ruleset)
        self._console.start()

    async def stop(self) -> None:
        """Let what is on its way end, then close."""
        if self._console:
            await self._console.stop()
        await self.gate.stop()
        if self.ops:
            self.ops.stop()

    def reload(self) -> None:
        """Read the rules anew."""
        self.gate.reloader.reload_soon()

    def ready(self) -> Answer:
        """Return whether mail can be taken in, and what is wrong; called in threads of the ops server."""
        readable, reasons = self.gate.database_keeper.answers()
        return readable, (*reasons, *says_of_rules(self._rules_problem))

    def _show(self, ruleset: Ruleset, problem: str = "") -> None:
        self._rules_problem = problem
        self.metrics.ruleset(ruleset.digest, ruleset.title, ruleset.review)
        self.metrics.processes({"gate": 1}, {"gate": ruleset.digest})


def says_of_rules(*problems: str) -> tuple[str, ...]:
    """Return what /readyz says where rules on disk cannot be used: mail is taken in by those of before.

    Args: `problems` of the processes, "" for a process that has none.
    """
    told = dict.fromkeys(filter(None, problems))
    return tuple(f"the rules on disk cannot be used, the last good ones are in force: {each}" for each in told)


def let_gathers_wait(store: Store, ruleset: Ruleset) -> None:
    """Let gathers that were open before this start wait for the MTAs whose connections were lost."""
    if ruleset.mailing.gather is None:
        return
    limit = ruleset.mailing.gather.limit.total_seconds()
    with OutageLog(log, "the gathers that were open").survived():
        if waiting := store.call(partial(gathering.wait_on, now=store.now(), limit=limit)):
            log.info("%d gathers that were open wait on, for up to %.0f seconds", waiting, limit)


def announce(settings: Settings, doors: ListenerSockets, ops: OpsServer | None, ruleset: Ruleset) -> None:
    """Log which version runs, on which addresses, by which rules and settings."""
    log.info(
        "gatekeeper %s: mail to %s, next hop %s, rules %s (%s), mode %s",
        __version__,
        " and ".join(address_of(sockets[0]) for sockets in doors.values()),
        without_passwords(settings.next_hop.next_hop),
        settings.judging.rules,
        ruleset.title,
        settings.judging.mode,
    )
    _tell_settings(settings)
    if ops:
        log.info("metrics: http://%s:%d/metrics", ops.host, ops.port)
    if settings.next_hop.kind == "maildir":  # of samples that are relayed nobody is rid again
        log.info("to see it work: gatekeeper demo")


def _tell_settings(settings: Settings) -> None:
    """Log the settings in force: those that somebody has set, then those at their defaults."""
    texts = settings.texts
    is_set = {each.name: texts[each.name] != each.default for each in SETTINGS}
    for said, wanted in (("settings", True), ("settings at their defaults", False)):
        transaction_log.event(
            said, {f"--{each.flag}": texts[each.name] for each in SETTINGS if is_set[each.name] is wanted}
        )


async def run(settings: Settings) -> None:
    """Run a gate in this process until SIGTERM or SIGINT; SIGHUP reloads. Raises what SingleProcessGate raises."""
    log_key = secrets.token_bytes(16)
    transaction_log.configure(settings.ops, log_key)
    gate = SingleProcessGate(settings, log_key)
    ending = ends_on_signals(gate.reload)
    await gate.start()
    async with in_service():
        await ending.wait()
    await gate.stop()


@asynccontextmanager
async def in_service() -> AsyncIterator[None]:
    """Tell the service manager that mail is taken in, and at the end that the gate stops."""
    systemd.tell("READY=1")
    signs = systemd.signs_of_life()
    if signs:
        signs.start()
    try:
        yield
    finally:
        systemd.tell("STOPPING=1")
        if signs:
            await signs.stop()


def ends_on_signals(reload: Callable[[], None]) -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; SIGHUP calls `reload`."""
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    return ending
