"""The office of a gate: the loops that work by the passing of time, and the queue. A gate has one for all workers."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from gatekeeper.api.report.document import document_text, report_document
from gatekeeper.archive.disposing import Disposing
from gatekeeper.archive.text_duty import TextDuty
from gatekeeper.audit.heads import ActHeads
from gatekeeper.audit.retention import Retention
from gatekeeper.background.delivery_queue import Queue
from gatekeeper.background.gathering import GatherRunner
from gatekeeper.background.monthly_reports import MonthlyReports
from gatekeeper.background.recheck import Rechecks
from gatekeeper.background.reminders import Reminders
from gatekeeper.background.scheduler import Scheduler
from gatekeeper.ledger import reports
from gatekeeper.lib.allowance import Allowance
from gatekeeper.message.own_token import own_fields
from gatekeeper.rules import Ruleset
from gatekeeper.service.context import ProcessContext
from gatekeeper.store import OutageLog, StoreError, WakeupListener, rulesets
from gatekeeper.store.report_facts import Period

log = logging.getLogger("gatekeeper.main")


class Office:
    """The background work of a gate; the database must be open at `start`."""

    def __init__(self, base: ProcessContext) -> None:
        self._base = base
        mark = base.settings.next_hop.mark
        marks = base.settings.listening.milter is not None or mark is not None
        lease, now = base.settings.storing.lease, base.store.now
        self.bell = WakeupListener(base.store.database, self._rung)
        octets = base.settings.listening.memory_for_content
        self.queue = Queue(
            store=base.store,
            next_hop=base.next_hop,
            letterhead=base.letterhead,
            lease=lease,
            clock=now,
            is_woken=lambda: self.bell.works,
            marks=marks,
            members_of=lambda addresses: base.active_policy.current.members_of(addresses),
            own_fields=own_fields(mark.field if mark else ""),
            memory=Allowance(octets, partial(base.counts.content, "memory")),
            on_failed=base.counts.queue_failed,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        gathers = GatherRunner(
            base.active_policy, base.store, base.letterhead, base.mode, self.queue.poke, now, lease, base.auditor
        )
        reminders = Reminders(base.store, base.letterhead, self.queue.poke, now)
        rechecks = Rechecks(base.active_policy, base.store, base.letterhead, self.queue.poke, now, base.auditor)
        reports_of_months = MonthlyReports(base.store, base.letterhead, self._report, self.queue.poke, now)
        self.scheduler = Scheduler(
            base.active_policy, base.store, gathers, reminders, rechecks, reports_of_months, now, lease
        )
        self.retention = Retention(base.active_policy, base.store)
        self.act_heads = ActHeads(base.store)
        self.texts = TextDuty(base.store)
        self.disposing = Disposing(lambda: base.active_policy.current.ruleset, base.store, now)
        self._started = False

    async def start(self) -> None:
        """Record the ruleset in force, and start the loops."""
        await self.record_ruleset()
        with OutageLog(log, "the look at stored times").survived():
            await self.scheduler.bound_times()
        self.queue.start()
        self._loop = asyncio.get_running_loop()
        self.bell.start()
        self.scheduler.start()
        self.retention.start()
        self.act_heads.start()
        self.texts.start()
        self.disposing.start()
        self._started = True

    async def stop(self, grace: float) -> None:
        """Begin nothing new; let the work in hand end within `grace` seconds."""
        if self._started:
            await asyncio.to_thread(self.bell.stop)
            await self.queue.stop(grace)
            await self.scheduler.stop()
            await self.retention.stop()
            await self.act_heads.stop()
            await self.texts.stop()
            await self.disposing.stop()

    def _report(self, ruleset: Ruleset, period: Period) -> str:
        """Return the report of a period as `gatekeeper report --keep` keeps it."""
        return document_text(report_document(reports.compute(self._base.store, ruleset, period)))

    def _rung(self) -> None:
        """In the bell's thread."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.queue.poke)

    async def record_ruleset(self) -> None:
        """Store the ruleset in force, where commands read it."""
        active_policy = self._base.active_policy
        ruleset = active_policy.current.ruleset
        path, judging = str(active_policy.path.resolve()), self._base.settings.judging
        names = judging.hostname, judging.public_url
        stored = rulesets.StoredRuleset(ruleset.digest, path, ruleset.text, *names)
        store = self._base.store
        try:
            await store.run(partial(rulesets.put_in_force, ruleset=stored, now=store.now()))
        except StoreError as error:
            log.error("the ruleset in force was not recorded: %s", error)
