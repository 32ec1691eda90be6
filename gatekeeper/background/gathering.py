"""Ends gathers: judges every batch against the final counts by the ruleset in force; the worst verdict governs all.

The batches were answered 250 when they came. Those that pass are released through the queue, those that are held wait
for people, and a reject that is known only now becomes one delivery report with all reasons (docs/mailings.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from gatekeeper import notices, rules
from gatekeeper.audit.record import GATHERED, DecisionContext
from gatekeeper.audit.recorder import Auditor
from gatekeeper.background.rejudge import Rejudged, read_kept, rejudge, rejudge_gathered
from gatekeeper.lib.aio import run_long
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import read_facts
from gatekeeper.model import Action, Facts, Reason
from gatekeeper.notices import Occasion
from gatekeeper.ops.log import Id, event
from gatekeeper.outbox import delivery_reports, to_senders
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import ActivePolicy, Policy
from gatekeeper.policy.evidence import Judgment, warning_field
from gatekeeper.policy.mode import Mode
from gatekeeper.store import Connection, Store, StoreError, gathering
from gatekeeper.store.batches import read_body
from gatekeeper.store.gathering import GatheredMailing
from gatekeeper.store.refusals import remembered_counts, still_refuses

log = logging.getLogger("gatekeeper.gather")


@immutable
class Ended:
    """A gather that has ended: the mailing's number, the number of its batches, and the verdict that governs them."""

    mailing: str
    batches: int
    verdict: Action
    done: Action
    key: int
    judged: Mapping[int, Judgment] = field(repr=False)  # by batch


_NOTICES: dict[str, to_senders.Render] = {"held": notices.held_notice, "warning": notices.warning_notice}


@dataclass(slots=True)
class GatherRunner:
    """Ends gathers that are due. Any number of runners, in any number of processes, share a database."""

    active_policy: ActivePolicy
    store: Store
    letterhead: Callable[[], Letterhead]
    mode: Mode = field(default_factory=Mode)
    on_queued: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.time
    lease: float = 20.0  # seconds in which nobody else looks at a mailing that we have found due
    auditor: Auditor | None = None

    async def end_due(self) -> None:
        """End every gather that is due; raises StoreError."""
        while (key := await self._lease()) is not None:
            try:
                await self.end(key)
            except StoreError:
                raise
            except Exception:  # a fault of ours with one mailing must not keep all others waiting
                log.exception("a gather could not be ended; it is tried again in %.0f s", self.lease)

    async def _lease(self) -> int | None:
        now = self.clock()
        if not await self.store.read(partial(gathering.any_due, now=now)):
            return None
        return await self.store.run(partial(gathering.lease_gather, now=now, seconds=self.lease))

    async def end(self, key: int) -> None:
        """Judge one mailing as a whole.

        A mailing that grew meanwhile, and whose time is not over, goes on gathering.
        """
        gathered = await self.store.read(partial(gathering.read_gathered, key=key))
        if gathered is None:
            return
        policy, facts = self.active_policy.current, await self._facts(gathered)
        judged = await self.store.read(partial(self._judge, gathered=gathered, facts=facts, policy=policy))
        step("gather-judged")
        ended = await self.store.run(partial(self._write, gathered=gathered, judged=judged))
        ended = ended or await self.store.run(partial(self._end_at_once, key=key, facts=facts, policy=policy))
        if not ended:
            await self.store.run(partial(gathering.give_back, key=key))
            return
        step("gather-ended")
        self.on_queued()
        self._record(ended)
        told = {"mailing": Id(ended.mailing), "batches": ended.batches, "verdict": str(ended.verdict)}
        event("gathered", told)

    def _record(self, ended: Ended) -> None:
        if self.auditor is None:
            return
        for batch, judged in ended.judged.items():
            watched = rules.observed(judged.ruleset, judged.evidence, judged.now)
            name, done = f"batch-{batch}", ended.done.value
            about = DecisionContext(name, done, GATHERED, ended.key, ended.mailing, watched)
            self.auditor.judged(judged, about)

    # -- judging -------------------------------------------------------------------------------------------------

    async def _facts(self, gathered: GatheredMailing) -> dict[bytes, Facts]:
        """Read the facts of the batches, by body: batches of one message share them."""
        facts: dict[bytes, Facts] = {}
        for body in {batch.body for batch in gathered.batches}:
            content = await self.store.read(partial(read_body, digest=body))
            facts[body] = await run_long(read_facts, content)
        return facts

    def _judge(
        self, connection: Connection, gathered: GatheredMailing, facts: dict[bytes, Facts], policy: Policy
    ) -> Rejudged:
        kept = read_kept(connection, gathered.batches, facts, policy)
        if gathered.refused:
            alike = replace(gathered.mailing, counts=remembered_counts(gathered.refused))
            judged = rejudge(connection, replace(gathered, mailing=alike), kept, policy, self.clock())
            if any(still_refuses(gathered.refused, each.verdict, is_same=True) for each in judged.each.values()):
                return judged
        return rejudge_gathered(connection, gathered, kept, policy, self.clock())

    def _end_at_once(self, connection: Connection, key: int, facts: dict[bytes, Facts], policy: Policy) -> Ended | None:
        """Judge and write in one transaction, where a mailing whose time is over grows faster than it is judged."""
        gathered = gathering.read_gathered(connection, key, lock=True)
        if gathered is None or (gathered.mailing.gather_until or 0) > self.clock():
            return None
        judged = self._judge(connection, gathered, facts, policy)
        while not judged.still_so(connection, key):  # of those that it has locked now, none can change any more
            judged = self._judge(connection, gathered, facts, policy)
        return self._write(connection, gathered, judged)

    # -- what comes of it ----------------------------------------------------------------------------------------

    def _write(self, connection: Connection, gathered: GatheredMailing, judged: Rejudged) -> Ended | None:
        mailing, worst = gathered.mailing, judged.action
        observes = self._observes(judged.each.values())
        passes = worst.passes or observes
        if not judged.still_so(connection, mailing.key):
            return None
        carried = judged.without_repairs() if observes else judged
        if not self._carry_out(connection, gathered, carried, passes=passes):
            return None
        carried_out = Action.RELAY if passes and not worst.passes else worst
        return Ended(mailing.id, len(gathered.batches), worst, carried_out, mailing.key, judged.each)

    def _observes(self, judged: Iterable[Judgment]) -> bool:
        """Return True where the rules act on none of the batches (`enforce:`), or the gate only observes."""
        return self.mode.observes or not any(each.ruleset.acts_on(*each.evidence.source.agencies) for each in judged)

    def _carry_out(self, connection: Connection, gathered: GatheredMailing, judged: Rejudged, *, passes: bool) -> bool:
        now = self.clock()
        if passes:
            return self._pass(connection, gathered, judged, now)
        if judged.action is Action.REJECT:
            return self._refuse(connection, gathered, judged, now)
        return self._hold(connection, gathered, judged, now)  # what cannot be deferred any more is held

    def _pass(self, connection: Connection, gathered: GatheredMailing, judged: Rejudged, now: float) -> bool:
        warned = {id: each for id, each in judged.each.items() if each.verdict.action is Action.WARN}
        warnings = {id: warning_field(each.verdict) for id, each in warned.items()}
        ending = gathering.Passing(_reasons(judged), warnings, judged.permits)
        if not gathering.end_by_passing(connection, gathered, ending, now):
            return False
        if warned:
            reasons = Rejudged(warned, judged.standing).reasons
            self._tell(connection, gathered, "warning", reasons, now)
        return True

    def _hold(self, connection: Connection, gathered: GatheredMailing, judged: Rejudged, now: float) -> bool:
        if not gathering.end_by_holding(connection, gathered, _reasons(judged), judged.reasons, now):
            return False
        self._tell(connection, gathered, "held", judged.reasons, now)
        return True

    def _refuse(self, connection: Connection, gathered: GatheredMailing, judged: Rejudged, now: float) -> bool:
        refusing = gathering.Refusing(judged.reasons, judged.lasting, judged.mendable, judged.counts)
        if not gathering.end_by_refusing(connection, gathered, refusing, now):
            return False
        texts = tuple(f"{reason.text} ({reason.rule})" for reason in judged.reasons)
        end = delivery_reports.EndOfMailing(gathered.mailing, list(gathered.batches), Occasion.REFUSED, texts)
        delivery_reports.queue_report(connection, self.letterhead(), end, now)
        return True

    def _tell(
        self, connection: Connection, gathered: GatheredMailing, kind: str, reasons: tuple[Reason, ...], now: float
    ) -> None:
        """Queue a notice to each sender. Args: `kind` is a key of _NOTICES."""
        mailing, letterhead = gathered.mailing, self.letterhead()
        queue = to_senders.queue_held_notice if kind == "held" else to_senders.queue_notice
        for own in to_senders.by_sender(gathered.batches):
            summary = letterhead.summary(mailing, reasons, own[0])
            notice = to_senders.SenderNotice(kind, mailing.key, summary, _NOTICES[kind])
            queue(connection, letterhead, notice, moment_of(now))


def _reasons(judged: Rejudged) -> dict[int, tuple[Reason, ...]]:
    return {id: each.verdict.reasons for id, each in judged.each.items()}
