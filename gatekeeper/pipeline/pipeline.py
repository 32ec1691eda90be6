"""What arriving mail does, read downward: facts, audience, mailing, verdict, effect.

Up to the decision nothing has happened: whatever fails is a 451, and the client keeps the message. The points of no
return are marked. All of it runs in a task of its own, for a client may hang up at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from gatekeeper import notices, rules
from gatekeeper.lib.aio import Patience, Tasks
from gatekeeper.lib.failpoints import step
from gatekeeper.lib.moments import moment_of
from gatekeeper.lib.transaction_ids import passage_ids
from gatekeeper.message import mailing_keys, read_facts
from gatekeeper.message.release_token import token_of
from gatekeeper.model import (
    Action,
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
from gatekeeper.outbox import to_senders
from gatekeeper.pipeline import preflight
from gatekeeper.policy.active import InForce, Policy
from gatekeeper.policy.evidence import Judged, audience_of, likeness_for, source_of, warning_field
from gatekeeper.policy.mode import OBSERVE, Mode
from gatekeeper.rules import MailingRules
from gatekeeper.settings import Judging
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.received import received_field
from gatekeeper.smtp.replies import Reply
from gatekeeper.store import Arrival, Gathering, Store, StoreError, StoreFull, permit_uses

log = logging.getLogger("gatekeeper.pipeline")


class Relay(Protocol):
    """Passes the message on to the next hop; called at most once."""

    async def __call__(self, added: bytes, *, blind: bool = False) -> Reply:
        """Put these header fields before it, with `blind` hide To and Cc, and return the next hop's final reply."""
        ...


_ids = passage_ids()  # of this process
_LARGE = 65_536  # octets above which a message is read in a thread, off the event loop
_LONG_HEADER = 8_192  # octets above which a header is: few have one, and what is in it can be made to take long
_DECISION_SECONDS = 9.0  # a verdict is due within ten, its reply included (DESIGN 7)
_ROUNDS = 3  # how often a batch is decided anew because people decided its mailing meanwhile


@dataclass(slots=True)
class Passage:
    """One transaction on its way through, and what has become of it so far: for the log line and the metrics."""

    transaction: Transaction
    policy: Policy
    id: str
    now: datetime
    began: float  # of the monotonic clock
    arrival: Arrival | None = None
    observes: bool = False  # whatever the verdict, the message passes
    asks: bool = False  # what would become of it: it goes nowhere
    judged: Judged | None = None  # the last judgment, which is what was committed
    outcome: Outcome | None = None
    reply: Reply | None = None
    relayed: bool = False  # the reply is the next hop's
    failure: str = ""


Report = Callable[[Passage], None]


@dataclass(slots=True)
class Pipeline:
    """The one way of a message, whichever listener it came by."""

    settings: Judging
    in_force: InForce
    store: Store
    report: Report = lambda passage: None
    clock: Callable[[], float] = time.time
    tasks: Tasks = field(default_factory=Tasks)
    mode: Mode = field(default_factory=Mode)
    outage: Outage = field(init=False)
    patience: Patience = field(default_factory=lambda: Patience(_DECISION_SECONDS))

    def __post_init__(self) -> None:
        if self.settings.mode == OBSERVE:
            self.mode.setting = OBSERVE
        self.outage = Outage(self.settings.outage_allowance)

    async def receive(self, transaction: Transaction, relay: Relay) -> Reply:
        """Judge one transaction, act on the verdict, and return the reply to its end of data.

        Args: `relay` takes header fields to put before the message, passes it to the next hop and returns that one's
        final reply; it is called at most once. Raises nothing but CancelledError, which does not stop the work.
        """
        return await self.tasks.shielded(self._pass(transaction, relay))

    async def carry(self, transaction: Transaction, relay: Relay) -> Reply:
        """As `receive`, in the task of a caller that nobody cancels."""
        self.tasks.adopt()
        return await self._pass(transaction, relay)

    async def _pass(self, transaction: Transaction, relay: Relay) -> Reply:
        now = moment_of(self.clock())
        passage = Passage(transaction, self.in_force.current, next(_ids), now, time.perf_counter())
        try:
            passage.reply = await self._handle(passage, relay)
        except StoreFull as error:
            passage.failure, passage.reply = str(error), policy_replies.disk_full()
        except (StoreError, TimeoutError) as error:
            passage.failure = str(error) or "no decision in time"
            passage.reply = await self._without_store(passage, relay)
        except Exception as error:  # a fault of ours must cost a retry, never a message
            log.exception("%s: a fault in the gate", passage.id)
            passage.failure, passage.reply = repr(error), policy_replies.our_fault()
        self.report(passage)
        return passage.reply

    async def _handle(self, passage: Passage, relay: Relay) -> Reply:
        step("received")
        passage.arrival = arrival = await self._read(passage)
        if await self._is_released(passage, arrival):
            return await self._relay(passage, relay)
        if preflight.is_asked(passage.policy, passage.transaction, arrival.facts):
            return await self._preflight(passage, arrival)
        for _ in range(_ROUNDS):
            # Point of no return for the ledger: from the commit in here on, whom this reaches is counted.
            passage.outcome = outcome = await self._decide(passage, arrival)
            if outcome.batch is None:
                return await self._fly(passage, outcome, relay)
            # Point of no return for the message: once kept, it is ours.
            if await self.store.keep(arrival, outcome.batch):
                return await self._kept(passage, outcome)
        raise StoreError("the mailing was decided again and again while its batch was being kept")

    async def _preflight(self, passage: Passage, arrival: Arrival) -> Reply:
        """Answer what would become of it, by mail to its sender; it goes nowhere, whatever happens (C3)."""
        passage.asks = True
        if not arrival.notify:
            return policy_replies.preflight_of_nobody()
        voice, secret = self._voice(passage), self.store.secret
        async with asyncio.timeout(_DECISION_SECONDS):
            await self.store.run(
                partial(preflight.take, secret=secret, arrival=arrival, policy=passage.policy, voice=voice)
            )
        return policy_replies.preflight()

    # -- what it is ----------------------------------------------------------------------------------------------

    async def _read(self, passage: Passage) -> Arrival:
        content = passage.transaction.content
        if len(content) < _LARGE and not _has_long_header(content):
            return self._arrival(passage, read_facts(content))
        return self._arrival(passage, await asyncio.to_thread(read_facts, content))

    def _arrival(self, passage: Passage, facts: Facts) -> Arrival:
        transaction, policy = passage.transaction, passage.policy
        source = source_of(transaction, facts, policy)
        inside = policy.is_inside(source.mailbox)
        passage.observes = self.mode.observes or not policy.ruleset.acts_on(*source.agencies)
        mailing = policy.ruleset.mailing
        return Arrival(
            transaction=transaction,
            facts=facts,
            audience=audience_of(transaction, facts, policy),
            source=source,
            keys=mailing_keys.keys(transaction, facts, source),
            identity=mailing_keys.batch_identity(transaction, facts),
            now=passage.now,
            within=mailing.within,
            separate=source.separate,
            agency=source.agency if mailing.source == "agency" else None,
            gathering=None if passage.observes else self._gathering(transaction, facts, source, mailing),
            trace=transaction.trace or received_field(transaction, self.settings.hostname, passage.now, passage.id),
            notify=to_senders.may_be_told(transaction, facts, source, inside),
            earlier=policy.ruleset.earlier,
            returning=transaction.authenticated and token_of(transaction.content) is not None,
        )

    @staticmethod
    def _gathering(transaction: Transaction, facts: Facts, source: Source, mailing: MailingRules) -> Gathering | None:
        """How the batch waits for the rest of its mailing; None where its verdict cannot depend on the rest."""
        gather = mailing.gather
        unasked = not source.covered and source.from_problem is None  # no rule is asked about who sends it
        if gather is None or source.separate or unasked or is_automatic(transaction, facts):
            return None
        opens = gather.takes(len(transaction.recipients))
        return Gathering(opens, gather.quiet.total_seconds(), gather.limit.total_seconds())

    async def _is_released(self, passage: Passage, arrival: Arrival) -> bool:
        """True for mail that was judged and released here and comes by again, told by a token that is good once.

        The token counts only over a connection that is trusted; its field alone opens nothing.
        """
        token = token_of(arrival.transaction.content) if arrival.returning else None
        mailing = await self.store.redeem(arrival, token) if token else None
        if mailing is None:
            return False
        passage.outcome = Outcome(Verdict(), Counts(), mailing, repeated=True)
        return True

    # -- what is decided -----------------------------------------------------------------------------------------

    async def _decide(self, passage: Passage, arrival: Arrival) -> Outcome:
        return await self.store.decide(arrival, partial(self._judge, passage, arrival), self.patience)

    def _judge(self, passage: Passage, arrival: Arrival, counts: Counts, standing: Standing) -> Verdict:
        likeness = likeness_for(standing, arrival.transaction.content)
        evidence = Evidence(
            arrival.transaction, arrival.facts, arrival.audience, counts, standing, arrival.source, likeness=likeness
        )
        ruleset = passage.policy.ruleset
        verdict = rules.judge(ruleset, evidence, arrival.now)
        passage.judged = Judged(ruleset, evidence, verdict, arrival.now)
        if passage.observes and not verdict.action.passes:
            return replace(verdict, action=Action.RELAY)
        return verdict

    async def _fly(self, passage: Passage, outcome: Outcome, relay: Relay) -> Reply:
        """Act on the verdict; what a permit lets pass is on its way until the next hop has answered (S5)."""
        try:
            return await self._effect(passage, outcome, relay)
        finally:
            if outcome.flight is not None:
                await self._land(outcome.flight)

    async def _land(self, flight: int) -> None:
        """Who waits for it to land waits no longer; without the database they wait until its time is over."""
        with contextlib.suppress(StoreError):
            await self.store.run(partial(permit_uses.land, flight=flight))

    # -- what is done --------------------------------------------------------------------------------------------

    async def _effect(self, passage: Passage, outcome: Outcome, relay: Relay) -> Reply:
        contact = passage.policy.ruleset.contact
        match outcome.verdict.action:
            case Action.REJECT:
                return policy_replies.rejected(outcome.verdict.reasons, contact)
            case Action.DEFER:
                return policy_replies.deferred(outcome.verdict.reasons, contact)
            case Action.WARN:
                blind = outcome.verdict.blind and self.settings.mode != "observe"
                reply = await self._relay(passage, relay, warning_field(outcome.verdict), blind=blind)
                if reply.ok:
                    await self._tell(passage, outcome, "warning", notices.warning_notice)
                return reply
            case _:
                return await self._relay(passage, relay)

    async def _relay(self, passage: Passage, relay: Relay, added: bytes = b"", *, blind: bool = False) -> Reply:
        trace = passage.arrival.trace if passage.arrival else b""
        passage.relayed = True
        # Point of no return for the recipients: the next hop gets the message, and its reply is ours.
        return await (relay(trace + added, blind=True) if blind else relay(trace + added))

    async def _without_store(self, passage: Passage, relay: Relay) -> Reply:
        """The database is down: small mail may pass as --outage-allowance says, mass mail never (DESIGN 10)."""
        arrival, done = passage.arrival, passage.outcome is not None or passage.relayed or passage.asks
        unproven = self.in_force.sources.unproven  # a list that came back empty would make small mail of mass mail
        if arrival is None or done or unproven or not self._small(passage, arrival):
            return policy_replies.our_fault()
        return await self._relay(passage, relay)

    def _small(self, passage: Passage, arrival: Arrival) -> bool:
        alone = Counts.of(arrival.audience)
        verdict = self._judge(passage, arrival, alone, Standing())
        small = verdict.action.passes and not verdict.mass
        return small and self.outage.admits(arrival.source.mailbox, alone.people, arrival.now.timestamp())

    # -- what is said --------------------------------------------------------------------------------------------

    async def _kept(self, passage: Passage, outcome: Outcome) -> Reply:
        if outcome.gathered:
            gather = passage.policy.ruleset.mailing.gather
            return policy_replies.gathered(outcome.mailing or "", gather.limit.total_seconds() if gather else 0)
        await self._tell(passage, outcome, "held", notices.held_notice)
        return self._held_reply(passage, outcome)

    def _held_reply(self, passage: Passage, outcome: Outcome) -> Reply:
        name = outcome.mailing or ""
        holding = [reason.text for reason in outcome.verdict.reasons if reason.action is Action.HOLD]
        return policy_replies.held(name, " ".join(holding) or "its mailing is held", self._voice(passage).link(name))

    def _voice(self, passage: Passage) -> to_senders.Voice:
        policy, settings = passage.policy, self.settings
        return to_senders.Voice(policy.ruleset, settings.hostname, settings.public_url, policy.texts)

    async def _tell(self, passage: Passage, outcome: Outcome, kind: str, render: to_senders.Render) -> None:
        """Queue the one notice of its kind that the mailing's sender gets.

        What happened has happened: a notice that fails must change neither the verdict nor the reply.
        """
        arrival = passage.arrival
        if arrival is None or not arrival.notify or outcome.key is None:
            return
        try:
            content = render(self._summary(passage, arrival, outcome), self._voice(passage).organisation, arrival.now)
            await self.store.run(
                partial(
                    to_senders.queue_notice,
                    once=f"{kind}:{outcome.key}",
                    recipient=arrival.source.mailbox,
                    content=content,
                    now=arrival.now.timestamp(),
                    key=outcome.key,
                )
            )
        except Exception:
            log.exception("%s: the %s notice was not queued", passage.id, kind)
        step("notice-queued")

    def _summary(self, passage: Passage, arrival: Arrival, outcome: Outcome) -> notices.MailingSummary:
        return self._voice(passage).summary(
            outcome.mailing or "",
            arrival.source.mailbox,
            arrival.facts.subject,
            outcome.counts,
            outcome.verdict.reasons,
            arrival.facts.message_id,
        )


def _has_long_header(content: bytes) -> bool:
    return len(content) > _LONG_HEADER and content.find(b"\r\n\r\n", 0, _LONG_HEADER) < 0


class Outage:
    """People whom each source has reached unrecorded in the hour: a bound on what an outage can hide."""

    def __init__(self, allowance: int) -> None:
        """Args: `allowance` in people, for a message and for a source in an hour; 0 lets nothing pass."""
        self.allowance = allowance
        self._hour = 0
        self._reached: defaultdict[str, int] = defaultdict(int)

    def admits(self, source: str, people: int, now: float) -> bool:
        """True where the source may reach so many more people in this hour; counts them then.

        Args: `now` in seconds since 1970.
        """
        hour = int(now // 3600)
        if hour != self._hour:
            self._hour = hour
            self._reached.clear()
        if not people or self._reached[source] + people > self.allowance:
            return False
        self._reached[source] += people
        return True
