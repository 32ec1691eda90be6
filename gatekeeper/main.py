"""The gate put together: what `gatekeeper serve` runs. Wiring only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from functools import partial

from gatekeeper import __version__
from gatekeeper import log as transaction_log
from gatekeeper.delivery import NextHop
from gatekeeper.delivery.queue import Queue
from gatekeeper.duties import Duties
from gatekeeper.gathers import Gathers
from gatekeeper.in_force import InForce, Policy
from gatekeeper.listeners.smtp import SmtpListener
from gatekeeper.metrics import LedgerSummary, Metrics
from gatekeeper.ops import OpsServer
from gatekeeper.pipeline import Pipeline
from gatekeeper.reporting import Reporter
from gatekeeper.settings import Settings
from gatekeeper.store import Database, Store, StoreError, StoreSetupError, ledger
from gatekeeper.telling import Voice
from gatekeeper.wire import verdicts
from gatekeeper.wire.replies import Reply

log = logging.getLogger("gatekeeper.main")
_GRACE = 30.0  # seconds that mail on its way has when we are told to end
_REOPEN_SECONDS = 1.0


class Gate:
    """One running gate."""

    def __init__(self, settings: Settings) -> None:
        """Read the rules, open nothing yet; raises InForceError, StoreSetupError, SettingsError."""
        self.settings = settings
        self.metrics = Metrics()
        self.in_force = InForce(settings.judging.rules, self._came_into_force)
        self.store = Store(Database(settings.storing.database, settings.storing.database_timeout))
        self.store_is_open = False
        self.next_hop = NextHop(settings.next_hop, self.metrics.next_hop_error)
        self.pipeline = Pipeline(settings.judging, self.in_force, self.store, Reporter(self.metrics).report)
        self.listener = SmtpListener(
            settings.listening, self.next_hop, self.pipeline, self._sender_allowed, self._obstacle
        )
        self.queue = Queue(self.store, self.next_hop, self._voice, settings.storing.lease)
        observes = settings.judging.mode == "observe"
        gathers = Gathers(self.in_force, self.store, self._voice, observes, self.queue.poke)
        self.duties = Duties(self.in_force, self.store, gathers, self._reloaded)
        self.ops = OpsServer(settings.ops.ops, self.metrics.registry, self._ready) if settings.ops.ops else None
        self.metrics.watch_ledger(self._summary)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the database, then the doors; raises StoreSetupError where the database can never be used."""
        if not await self._open_store():
            self._tasks.append(asyncio.create_task(self._keep_opening_store()))
        if self.ops:
            self.ops.start()
        self.duties.start()
        await self.listener.start()
        self._announce()

    async def stop(self) -> None:
        """Let what is on its way end, then close."""
        log.info("ending: mail on its way has %.0f seconds", _GRACE)
        await self.listener.stop(_GRACE)
        cut_off = await self.pipeline.tasks.drain(_GRACE)
        if cut_off:
            log.warning("%d messages were cut off; their clients keep them", cut_off)
        await self.queue.stop(_GRACE)
        await self.duties.stop()
        for task in self._tasks:
            task.cancel()
        await self.next_hop.close()
        if self.ops:
            self.ops.stop()
        await asyncio.to_thread(self.store.close)
        log.info("ended")

    async def _open_store(self) -> bool:
        try:
            await asyncio.to_thread(self.store.open)
        except StoreSetupError:
            raise
        except StoreError as error:
            log.error("%s; mail is answered 451 until it is there", error)
            return False
        await self._record_ruleset(self.in_force.current)
        self.store_is_open = True
        self.queue.start()
        return True

    async def _keep_opening_store(self) -> None:
        """Open the database, again and again until it is there: until then all mail is 451, and none is lost."""
        opened = False
        while not opened:
            await asyncio.sleep(_REOPEN_SECONDS)
            opened = await self._open_store()

    # -- what rooms ask for --------------------------------------------------------------------------------------

    def _came_into_force(self, policy: Policy) -> None:
        ruleset = policy.ruleset
        self.metrics.ruleset_loaded(ruleset.digest, ruleset.title, ruleset.review)

    def _reloaded(self, went_well: bool) -> None:
        if not went_well:
            self.metrics.ruleset_refused()
            return
        self._tasks.append(asyncio.create_task(self._record_ruleset(self.in_force.current)))

    async def _record_ruleset(self, policy: Policy) -> None:
        ruleset = policy.ruleset
        stored = ledger.StoredRuleset(ruleset.digest, str(self.in_force.path.resolve()), ruleset.text)
        try:
            await self.store.run(partial(ledger.put_in_force, ruleset=stored, now=time.time()))
        except StoreError as error:
            log.error("the ruleset in force was not recorded: %s", error)

    def _voice(self) -> Voice:
        judging = self.settings.judging
        return Voice(self.in_force.current.ruleset, judging.hostname, judging.public_url)

    def _sender_allowed(self, mail_from: str) -> bool:
        domain = mail_from.rpartition("@")[2].lower()
        domains = self.settings.listening.sender_domains
        return domain in domains if domains else self.in_force.current.directory.is_inside(mail_from)

    def _obstacle(self) -> Reply | None:
        """452 at MAIL while the disk is nearly full: nothing is acknowledged that cannot be stored (DESIGN 10)."""
        return verdicts.disk_full() if self.store.is_short_of_space(time.monotonic()) else None

    def _ready(self) -> tuple[bool, tuple[str, ...]]:
        if not self.store_is_open:
            return False, ("the database is not open",)
        try:
            self.store.writer.read(ledger.in_force)
        except StoreError as error:
            return False, (str(error),)
        return True, ()

    def _summary(self) -> LedgerSummary | None:
        try:
            found = self.store.writer.read(ledger.summarise)
        except StoreError:
            return None
        age = time.time() - found.oldest_held if found.oldest_held else 0.0
        return LedgerSummary(found.mailings, found.queue, age)

    def _announce(self) -> None:
        listening = self.settings.listening.listen
        log.info(
            "gatekeeper %s: mail to %s:%d, next hop %s, rules %s (%s), mode %s",
            __version__,
            listening.host,
            self.listener.port,
            self.settings.next_hop.next_hop,
            self.in_force.path,
            self.in_force.current.ruleset.title,
            self.settings.judging.mode,
        )
        if self.ops:
            log.info("metrics: http://%s:%d/metrics", self.ops.host, self.ops.port)
        log.info("to see it work: gatekeeper demo")


async def run(settings: Settings) -> None:
    """Run a gate until SIGTERM or SIGINT; SIGHUP reloads. Raises what Gate raises."""
    transaction_log.configure(settings.ops)
    gate = Gate(settings)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(gate.duties.reload()))
    await gate.start()
    with contextlib.suppress(asyncio.CancelledError):
        await ending.wait()
    await gate.stop()
