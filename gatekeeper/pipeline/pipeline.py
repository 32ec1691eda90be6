"""The way of arriving mail, from top to bottom: facts, audience, mailing, verdict, effect.

Up to the decision nothing has happened: whatever fails is answered 451, and the client keeps the message. Points of no
return are marked. Each transaction runs in a task of its own, because a client may hang up at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from gatekeeper import notices, rules
from gatekeeper.address import Addresses
from gatekeeper.lib.aio import Tasks, Timeouts
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.moments import moment_of
from gatekeeper.lib.transaction_ids import transaction_ids
from gatekeeper.message import mailing_keys
from gatekeeper.message.own_token import Turn
from gatekeeper.model import (
    Action,
    Audience,
    Counts,
    Evidence,
    Facts,
    Outcome,
    Source,
    Standing,
    Transaction,
    Verdict,
    is_automatic,
)
from gatekeeper.ops.log import event
from gatekeeper.outbox import delivery_reports, to_senders
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.pipeline import preflight
from gatekeeper.pipeline.came_back import LOOP, new_token, pass_once, turn_of
from gatekeeper.pipeline.cancelling import with_cancelled
from gatekeeper.pipeline.in_parts import relay_in_parts
from gatekeeper.pipeline.outage import Outage
from gatekeeper.pipeline.reading import find_audience, find_facts
from gatekeeper.policy.active import ActivePolicy, Policy
from gatekeeper.policy.evidence import Judgment, likeness_for, shared_text_of, source_of, warning_field
from gatekeeper.policy.mode import OBSERVE, Mode
from gatekeeper.policy.peers import vouched
from gatekeeper.rules import MailingRules
from gatekeeper.server.ports import RelayMessage
from gatekeeper.settings import Judging
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.received import received_field
from gatekeeper.smtp.replies import Reply
from gatekeeper.store import Arrival, Gathering, Store, StoreError, StoreFull, permit_uses

_ids = transaction_ids()
_DECISION_SECONDS = 9.0  # a verdict is due within ten, its reply included
_ROUNDS = 3  # attempts to decide a batch whose mailing people decide at the same time


@dataclass(slots=True)
class TransactionRun:
    """One transaction in the pipeline, and what has become of it so far: log line, metrics and record show it."""

    transaction: Transaction
    policy: Policy
    id: str
    now: datetime
    began: float  # of the monotonic clock
    arrival: Arrival | None = None
    observes: bool = False  # whatever the verdict, the message passes
    is_preflight: bool = False  # it is judged and answered, and goes nowhere
    came_back: Turn | None = None  # how often, where it is mail that the gate has sent on before
    judgment: Judgment | None = None  # the last one, which is what was committed
    outcome: Outcome | None = None
    reply: Reply | None = None
    relayed: bool = False  # the reply is the next hop's
    failure: str = ""


Report = Callable[[TransactionRun], None]


@dataclass(slots=True)
class Pipeline:
    """Judges transactions and acts on the verdicts, for every listener."""

    settings: Judging
    active_policy: ActivePolicy
    store: Store
    report: Report = lambda run: None
    clock: Callable[[], float] = time.time
    tasks: Tasks = field(default_factory=Tasks)
    mode: Mode = field(default_factory=Mode)
    marks: bool = False  # the next hop may bring mail back: what passes carries a token
    outage: Outage = field(init=False)
    timeouts: Timeouts = field(default_factory=lambda: Timeouts(_DECISION_SECONDS))

    def __post_init__(self) -> None:
        if self.settings.mode == OBSERVE:
            self.mode.setting = OBSERVE
        self.outage = Outage(self.settings.outage_allowance)

    async def receive(self, transaction: Transaction, relay: RelayMessage) -> Reply:
        """Judge one transaction, act on the verdict, and return the reply to its end of data.

        The caller's task must be one that nobody cancels: the work goes on when the client has left. Raises nothing.

        Args: `relay` takes header fields to put before the message, passes it to the next hop and returns that hop's
        final reply; it is called at most once.
        """
        self.tasks.adopt()
        now = moment_of(self.clock())
        run = TransactionRun(transaction, self.active_policy.current, next(_ids), now, time.perf_counter())
        try:
            run.reply = await self._handle(run, relay)
        except StoreFull as error:
            run.failure, run.reply = str(error), policy_replies.disk_full(of_sender=error.of_origin)
        except (StoreError, TimeoutError) as error:
            run.failure = str(error) or "no decision in time"
            run.reply = await self._reply_without_store(run, relay)
        except Exception as error:  # a fault of ours must cost a retry, never a message
            event("a fault in the gate", {"id": run.id}, logging.ERROR, error)
            run.failure, run.reply = repr(error), policy_replies.our_fault()
        try:
            self.report(run)
        except Exception as error:  # the message is where it is, whether or not a log line says so
            event("not reported", {"id": run.id}, logging.ERROR, error)
        return run.reply

    async def _handle(self, run: TransactionRun, relay: RelayMessage) -> Reply:
        step("received")
        run.arrival = arrival = await self._read(run)
        if run.came_back:
            if reply := await self._handle_returned(run, run.came_back, relay):
                return reply
            arrival = replace(arrival, returning=run.came_back is not None)
        if preflight.is_preflight(run.policy, run.transaction, arrival.facts):
            return await self._preflight(run, arrival)
        run.arrival = arrival = await with_cancelled(self.store, arrival)
        for _ in range(_ROUNDS):
            # Point of no return for the ledger: from the commit inside this call on, the people whom the message
            # reaches are counted.
            run.outcome = outcome = await self._decide(run, arrival)
            if outcome.batch is None:
                return await self._act(run, outcome, relay)
            # Point of no return for the message: once stored, it is ours.
            if await self.store.keep(arrival, outcome.batch):
                return await self._reply_to_kept(run, outcome)
        raise StoreError("the mailing was decided again and again while its batch was being kept")

    async def _preflight(self, run: TransactionRun, arrival: Arrival) -> Reply:
        """Tell the sender by mail what would become of the message; it goes nowhere, whatever happens (C3)."""
        run.is_preflight = True
        async with asyncio.timeout(_DECISION_SECONDS):
            return await preflight.take_in(self.store, arrival, run.policy, self._letterhead(run))

    # -- facts ---------------------------------------------------------------------------------------------------

    async def _read(self, run: TransactionRun) -> Arrival:
        policy, facts = run.policy, await find_facts(run.transaction.content)
        run.transaction = transaction = vouched(run.transaction, facts, policy)
        run.came_back = await turn_of(self.store, transaction, facts, policy, run.now)
        recipients = Addresses(transaction.addresses)
        audience = await find_audience(recipients, facts, policy, transaction.recipients)
        return self._arrival(run, facts, recipients, audience)

    def _arrival(self, run: TransactionRun, facts: Facts, recipients: Addresses, audience: Audience) -> Arrival:
        policy, transaction = run.policy, run.transaction
        source = source_of(transaction, facts, policy)
        inside = bool(source.owner) and policy.is_inside(source.owner)
        run.observes = self.mode.observes or not policy.ruleset.acts_on(*source.agencies)
        mailing = policy.ruleset.mailing
        return Arrival(
            transaction=transaction,
            facts=facts,
            audience=audience,
            source=source,
            keys=mailing_keys.keys(transaction, facts, source),
            identity=partial(mailing_keys.batch_identity, transaction.sender, recipients, facts),
            now=run.now,
            within=mailing.within,
            separate=source.separate,
            by_agency=mailing.source == "agency",
            text=shared_text_of(facts, source, policy),
            least_people=policy.ruleset.least_people,
            observes_counts=policy.ruleset.observes_counts,
            sent=policy.ruleset.sent,
            least_sent=policy.ruleset.least_sent,
            most_sent=policy.ruleset.most_sent,
            gathering=None if run.observes else self._gathering(transaction, facts, source, mailing),
            trace=transaction.trace or received_field(transaction, self.settings.hostname, run.now, run.id),
            notify=to_senders.may_be_told(transaction, facts, source, inside),
            earlier=policy.ruleset.earlier,
            returning=run.came_back is not None,
        )

    @staticmethod
    def _gathering(transaction: Transaction, facts: Facts, source: Source, mailing: MailingRules) -> Gathering | None:
        """Return how the batch waits for the rest of its mailing; None where its verdict cannot depend on the rest."""
        gather = mailing.gather
        unasked = not source.covered and source.from_problem is None  # no rule is asked about its sender
        if gather is None or source.separate or unasked or is_automatic(transaction, facts):
            return None
        opens = gather.takes(len(transaction.recipients))
        return Gathering(opens, gather.quiet.total_seconds(), gather.limit.total_seconds())

    async def _handle_returned(self, run: TransactionRun, turn: Turn, relay: RelayMessage) -> Reply | None:
        """Relay mail that the gate has sent on before; it was counted and judged then. The second time it is a loop.

        Returns None where it is judged: a token is good once for each recipient, and parts need a batch.
        """
        event("our own mail came back", {"id": run.id, "times": turn.times}, logging.WARNING)
        if turn.times == LOOP:
            run.outcome = Outcome(Verdict(Action.REJECT), Counts(), turn.name, repeated=True)
            return policy_replies.came_back_twice()
        if run.transaction.beyond:
            return None
        run.outcome = Outcome(Verdict(), Counts(), turn.name, repeated=True)
        reply = await pass_once(self.store, turn, run.now, partial(self._relay, run, relay))
        if reply is None:  # it has brought mail to one of them before: what comes now is mail like any other
            event("a token came again", {"id": run.id}, logging.WARNING)
            run.outcome = run.came_back = None
        return reply

    # -- verdict -------------------------------------------------------------------------------------------------

    async def _decide(self, run: TransactionRun, arrival: Arrival) -> Outcome:
        return await self.store.decide(arrival, partial(self._judge, run, arrival), self.timeouts)

    def _judge(self, run: TransactionRun, arrival: Arrival, counts: Counts, standing: Standing) -> Verdict:
        likeness = likeness_for(standing, arrival.transaction.content)
        evidence = Evidence(
            arrival.transaction, arrival.facts, arrival.audience, counts, standing, arrival.source, likeness=likeness
        )
        ruleset = run.policy.ruleset
        verdict = rules.judge(ruleset, evidence, arrival.now)
        run.judgment = Judgment(ruleset, evidence, verdict, arrival.now)
        return _observed(verdict) if run.observes else verdict

    async def _act(self, run: TransactionRun, outcome: Outcome, relay: RelayMessage) -> Reply:
        """Act on the verdict. A message that passes by a permit is in flight until the next hop has answered (S5)."""
        try:
            return await self._effect(run, outcome, relay)
        finally:
            if outcome.flight is not None:
                await self._end_flight(outcome.flight)

    async def _end_flight(self, flight: int) -> None:
        """End the flight, so that a revocation waits for it no longer.

        Without the database it ends by itself when its time is over.
        """
        with contextlib.suppress(StoreError):
            await self.store.run(partial(permit_uses.end_flight, flight=flight))

    # -- effect --------------------------------------------------------------------------------------------------

    async def _effect(self, run: TransactionRun, outcome: Outcome, relay: RelayMessage) -> Reply:
        contact = run.policy.ruleset.contact
        match outcome.verdict.action:
            case Action.REJECT:
                return policy_replies.rejected(outcome.verdict.reasons, contact)
            case Action.DEFER:
                return policy_replies.deferred(outcome.verdict.reasons, contact)
            case Action.WARN:
                reply = await self._relay(run, relay, warning_field(outcome.verdict), blind=outcome.verdict.blind)
                if reply.ok:
                    await self._notify_sender(run, outcome, "warning", notices.warning_notice)
                return reply
            case _:
                return await self._relay(run, relay)

    async def _relay(
        self, run: TransactionRun, relay: RelayMessage, added: bytes = b"", *, blind: bool = False
    ) -> Reply:
        trace = run.arrival.trace if run.arrival else b""
        token = await self._token(run, blind=blind)
        await self._report_refused(run)

        async def pass_on() -> Reply:
            run.relayed = True
            # Point of no return for the recipients: the next hop gets the message, and its reply is ours.
            return await (relay(trace + token + added, blind=True) if blind else relay(trace + token + added))

        if run.arrival is None or not run.transaction.beyond:
            return await pass_on()
        rest = run.outcome.rest if run.outcome else None
        reply = await relay_in_parts(self.store, run.arrival, rest, trace + added, pass_on)
        if reply.ok:
            event("sent on in parts", {"id": run.id, "nrcpt": run.transaction.beyond})
        return reply

    async def _token(self, run: TransactionRun, *, blind: bool) -> bytes:
        """Return the field by which the mail is known if it comes back; b"" where nothing says that it may."""
        if run.arrival is None or not (self.marks or run.came_back):
            return b""
        turn = run.came_back or Turn.first(run.outcome.mailing if run.outcome else None)
        return await new_token(self.store, run.arrival, turn, run.policy, blind=blind)

    async def _reply_without_store(self, run: TransactionRun, relay: RelayMessage) -> Reply:
        """Return the reply while the database is down.

        --outage-allowance may let small mail pass, mass mail never.
        """
        arrival, done = run.arrival, run.outcome is not None or run.relayed or run.is_preflight
        # nobody could be told of those whom the next hop refused, nor anything be kept for those beyond its limit
        done = done or bool(run.transaction.refused or run.transaction.beyond)
        unproven = self.active_policy.sources.unproven  # a list that came back empty would make mass mail look small
        if arrival is None or done or unproven or not self._is_small(run, arrival):
            return policy_replies.our_fault()
        return await self._relay(run, relay)

    def _is_small(self, run: TransactionRun, arrival: Arrival) -> bool:
        alone = Counts.of(arrival.audience)
        verdict = self._judge(run, arrival, alone, Standing())
        small = verdict.action.passes and not verdict.mass
        return small and self.outage.admits(arrival.source.places, alone.people, arrival.now.timestamp())

    # -- replies and notices -------------------------------------------------------------------------------------

    async def _report_refused(self, run: TransactionRun) -> None:
        """Queue the delivery report about recipients whom the next hop refused and the client takes for accepted.

        Only the gate can tell the sender, so this is durable before any 250 of ours; raises StoreError where it cannot
        be, and the client tries again.
        """
        if run.arrival is None or not run.transaction.refused:
            return
        letterhead, number = self._letterhead(run), (run.outcome and run.outcome.mailing) or run.id
        report = partial(
            delivery_reports.queue_refused_report, letterhead=letterhead, arrival=run.arrival, number=number
        )
        async with asyncio.timeout(_DECISION_SECONDS):
            await self.store.run(report)
        event("recipients refused by the next hop", {"id": run.id, "nrcpt": len(run.transaction.refused)})

    async def _reply_to_kept(self, run: TransactionRun, outcome: Outcome) -> Reply:
        await self._report_refused(run)
        if outcome.gathered:
            gather = run.policy.ruleset.mailing.gather
            return policy_replies.gathered(outcome.mailing or "", gather.limit.total_seconds() if gather else 0)
        if outcome.verdict.action.passes:
            return policy_replies.sent_on(outcome.mailing or "")
        await self._notify_sender(run, outcome, "held", notices.held_notice)
        return self._held_reply(run, outcome)

    def _held_reply(self, run: TransactionRun, outcome: Outcome) -> Reply:
        name = outcome.mailing or ""
        holding = [reason.text for reason in outcome.verdict.reasons if reason.action is Action.HOLD]
        return policy_replies.held(name, " ".join(holding) or "its mailing is held", self._letterhead(run).link(name))

    def _letterhead(self, run: TransactionRun) -> Letterhead:
        policy, settings = run.policy, self.settings
        return Letterhead(policy.ruleset, settings.hostname, settings.public_url, policy.texts)

    async def _notify_sender(self, run: TransactionRun, outcome: Outcome, kind: str, render: to_senders.Render) -> None:
        """Queue the one notice of its kind that each sender of the mailing gets.

        The decision is made by then: a notice that fails must change neither the verdict nor the reply.
        """
        arrival = run.arrival
        if arrival is None or not arrival.notify or outcome.key is None:
            return
        notice = to_senders.SenderNotice(kind, outcome.key, self._summary(run, arrival, outcome), render)
        queue = to_senders.queue_held_notice if kind == "held" else to_senders.queue_notice
        letterhead = self._letterhead(run)
        try:
            await self.store.run(partial(queue, letterhead=letterhead, notice=notice, now=arrival.now))
        except Exception as error:
            event("a notice was not queued", {"id": run.id, "notice": kind}, logging.ERROR, error)
        step("notice-queued")

    def _summary(self, run: TransactionRun, arrival: Arrival, outcome: Outcome) -> notices.MailingSummary:
        letterhead, counts = self._letterhead(run), outcome.counts
        return notices.MailingSummary(
            number=outcome.mailing or "",
            sender=arrival.source.owner,
            subject=arrival.facts.subject,
            users=counts.users,
            external=counts.external,
            agencies=letterhead.shares(counts.agencies),
            reasons=outcome.verdict.reasons,
            message_id=arrival.facts.message_id,
            link=letterhead.link(outcome.mailing or ""),
        )


def _observed(verdict: Verdict) -> Verdict:
    """Return what is done by the verdict where the gate only observes: the message passes as it came."""
    passes = verdict.without_repairs()
    return passes if verdict.action.passes else replace(passes, action=Action.RELAY)
