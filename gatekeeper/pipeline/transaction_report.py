"""What is said about each message to ops: one log line, and the metrics."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from gatekeeper.audit.record import ARRIVED, FAILED, RESENT, RETURNED, About
from gatekeeper.audit.recorder import Auditor
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action
from gatekeeper.ops import log
from gatekeeper.ops.metrics import Counts
from gatekeeper.pipeline.pipeline import Passage
from gatekeeper.rules import observed

_LOG = logging.getLogger("gatekeeper.pipeline")


@immutable
class Reporter:
    """Counts, logs and records passages."""

    counts: Counts
    auditor: Auditor | None = None

    def report(self, passage: Passage) -> None:
        """Report one message that has had its reply."""
        seconds = time.perf_counter() - passage.began
        transaction = passage.transaction
        action = verdict_of(passage)
        if passage.asks:
            log.transaction(replace(_line(passage, action, seconds, (), None), status="answered"))
            if passage.failure:
                _LOG.error("%s: %s", passage.id, passage.failure)
            return
        self.counts.message(transaction.listener, action.value)
        self.counts.decision(seconds, len(transaction.recipients))
        for reason in passage.outcome.verdict.reasons if passage.outcome else ():
            self.counts.rule_hit(reason.rule, reason.action.value)
        watched = _watched(passage)
        for rule in watched:
            self.counts.rule_hit(rule, "observe")
        would_be = _would_be(passage)
        if would_be:
            self.counts.observed(would_be.value)
        log.transaction(_line(passage, action, seconds, watched, would_be))
        if self.auditor:
            _record(self.auditor, passage, action, watched)
        if passage.failure:
            _LOG.error("%s: %s", passage.id, passage.failure)


def verdict_of(passage: Passage) -> Action:
    """What was done with the message: its verdict, or defer where it could not be judged."""
    if passage.outcome is None or passage.failure:
        return Action.RELAY if passage.relayed else Action.DEFER
    return passage.outcome.verdict.action


def _line(
    passage: Passage, action: Action, seconds: float, watched: tuple[str, ...], would_be: Action | None
) -> log.TransactionLine:
    transaction, outcome, reply = passage.transaction, passage.outcome, passage.reply
    return log.TransactionLine(
        id=passage.id,
        listener=transaction.listener,
        sender=transaction.sender,
        recipients=len(transaction.recipients),
        size=len(transaction.content),
        status=log.STATUSES[action],
        client=transaction.client.address,
        rules=outcome.verdict.rules if outcome else (),
        mailing=outcome.mailing if outcome else None,
        login=transaction.login,
        message_id=passage.arrival.facts.message_id if passage.arrival else None,
        reply="" if passage.relayed or reply is None else str(reply),
        relay=str(reply) if passage.relayed and reply is not None else "",
        observed=log.STATUSES[would_be] if would_be else "",
        watched=watched,
        repeated=bool(outcome and outcome.repeated),
        delay=seconds,
    )


def _would_be(passage: Passage) -> Action | None:
    """What would have been done, where the gate only observed and let pass what it would have stopped."""
    judged, outcome = passage.judged, passage.outcome
    if judged is None or outcome is None or not passage.observes:
        return None
    return None if judged.verdict.action is outcome.verdict.action else judged.verdict.action


def _watched(passage: Passage) -> tuple[str, ...]:
    """Rules with `mode: observe` that matched."""
    judged = passage.judged
    return observed(judged.ruleset, judged.evidence, judged.now) if judged else ()


def _record(auditor: Auditor, passage: Passage, action: Action, watched: tuple[str, ...]) -> None:
    outcome, judged, source = passage.outcome, passage.judged, passage.arrival and passage.arrival.source
    about = About(
        id=passage.id,
        done="gather" if outcome and outcome.gathered else action.value,
        moment=_occasion_of(passage),
        key=outcome.key if outcome else None,
        mailing=outcome.mailing if outcome else None,
        watched=watched,
    )
    if judged and about.moment == ARRIVED:
        auditor.judged(judged, about)
    else:
        mailbox = source.mailbox if source else passage.transaction.sender
        auditor.unjudged(passage.now, action.value, mailbox, about)


def _occasion_of(passage: Passage) -> str:
    outcome = passage.outcome
    if outcome is None or passage.failure:
        return FAILED
    if not outcome.repeated:
        return ARRIVED
    return RESENT if outcome.batch is not None else RETURNED
