"""What is said about each message to ops: one log line, and the metrics."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from gatekeeper import log
from gatekeeper.metrics import Counts
from gatekeeper.model import Action, Verdict
from gatekeeper.pipeline import Passage

_LOG = logging.getLogger("gatekeeper.pipeline")


@dataclass(frozen=True, slots=True)
class Reporter:
    """Counts and logs passages."""

    counts: Counts

    def report(self, passage: Passage) -> None:
        """Report one message that has had its reply."""
        seconds = time.perf_counter() - passage.began
        transaction = passage.transaction
        action = verdict_of(passage)
        self.counts.message(transaction.listener, action.value)
        self.counts.decision(seconds, len(transaction.recipients))
        for reason in passage.outcome.verdict.reasons if passage.outcome else ():
            self.counts.rule_hit(reason.rule, reason.action.value)
        log.transaction(_line(passage, action, seconds))
        if passage.failure:
            _LOG.error("%s: %s", passage.id, passage.failure)


def verdict_of(passage: Passage) -> Action:
    """What was done with the message: its verdict, or defer where it could not be judged."""
    if passage.outcome is None or passage.failure:
        return Action.RELAY if passage.relayed else Action.DEFER
    return passage.outcome.verdict.action


def _line(passage: Passage, action: Action, seconds: float) -> log.TransactionLine:
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
        observed=_observed(outcome.verdict) if outcome else "",
        repeated=bool(outcome and outcome.repeated),
        delay=seconds,
    )


def _observed(verdict: Verdict) -> str:
    """What the verdict would have been, where the gate only observes."""
    worst = max((reason.action for reason in verdict.reasons), key=lambda action: action.severity, default=Action.RELAY)
    return log.STATUSES[worst] if worst.severity > max(verdict.action.severity, Action.WARN.severity) else ""
