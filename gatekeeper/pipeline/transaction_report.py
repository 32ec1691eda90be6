"""Write the log line, the metrics and the audit record of each transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from gatekeeper.archive.passing import ContentKeeper
from gatekeeper.audit.record import ARRIVED, FAILED, RESENT, RETURNED, DecisionContext
from gatekeeper.audit.recorder import Auditor
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action, Outcome
from gatekeeper.ops import log
from gatekeeper.ops.metrics import OBSERVED, Counters
from gatekeeper.ops.tracing import SpanTaken, Tracing, parent_of
from gatekeeper.pipeline.pipeline import TransactionRun
from gatekeeper.rules import observed
from gatekeeper.rules.judge import SENDER_DOMAINS
from gatekeeper.rules.record_classes import MASS


@immutable
class Reporter:
    """Counters, logs and records transactions.

    Args: `is_foreign` tells by MAIL FROM whom the gate takes mail of only because it observes.
    """

    counts: Counters
    auditor: Auditor | None = None
    tracing: Tracing | None = None
    contents: ContentKeeper | None = None  # keeps what mass mail says that passes
    is_foreign: Callable[[str], bool] = lambda sender: False

    def report(self, run: TransactionRun) -> None:
        """Report one transaction that has had its reply."""
        seconds = time.perf_counter() - run.began
        transaction = run.transaction
        action = verdict_of(run)
        if run.is_preflight:
            log.transaction(replace(_line(run, action, seconds, (), None), status="answered"))
            if run.failure:
                _tell_failure(run)
            return
        self.counts.message(transaction.listener, action.value)
        self.counts.decision(seconds, len(transaction.recipients))
        if run.outcome and run.outcome.mailing and run.arrival:
            self.counts.agency_mailing(run.arrival.source.agency, action.value)
        for reason in run.outcome.verdict.reasons if run.outcome else ():
            self.counts.rule_hit(reason.rule, reason.action.value)
        watched = _watched(run)
        for rule in watched:
            self.counts.rule_hit(rule, OBSERVED)
        if transaction.listener == "smtp" and self.is_foreign(transaction.sender):  # a milter's MTA knows its senders
            watched = (*watched, SENDER_DOMAINS)
        would_be = _would_be(run)
        if would_be:
            self.counts.observed(would_be.value)
        line = _line(run, action, seconds, watched, would_be)
        if self.tracing:
            line.trace = self.tracing.export(_span_of(line, run))
        log.transaction(line)
        if self.auditor:
            _record(self.auditor, run, action, watched)
        if self.contents and run.outcome and run.outcome.verdict.mass:
            _keep(self.contents, run, run.outcome)
        if run.failure:
            _tell_failure(run)


def _span_of(line: log.TransactionLine, run: TransactionRun) -> SpanTaken:
    about: dict[str, str | int] = {
        "id": line.id,
        "listener": line.listener,
        "status": line.status,
        "rules": ",".join(line.rules),
        "mailing": line.mailing or "",
        "recipients": line.recipients,
        "size": line.size,
    }
    attributes = {f"gatekeeper.{name}": value for name, value in about.items()}
    parent = parent_of(run.transaction.content)
    return SpanTaken(f"{line.listener} transaction", line.delay, attributes, parent, run.failure)


def _tell_failure(run: TransactionRun) -> None:
    log.event("not judged", {"id": run.id, "error": run.failure}, logging.ERROR)


def _keep(contents: ContentKeeper, run: TransactionRun, outcome: Outcome) -> None:
    """Keep what mass mail says that has passed, where the rules keep it."""
    passed = run.relayed and run.reply is not None and run.reply.ok and not outcome.repeated
    if passed and outcome.key is not None and run.arrival and run.policy.ruleset.record_class(MASS).content:
        contents.keep(outcome.key, run.arrival)


def verdict_of(run: TransactionRun) -> Action:
    """Return what was done with the message: its verdict, or defer where it could not be judged."""
    if run.outcome is None or run.failure:
        return Action.RELAY if run.relayed else Action.DEFER
    return run.outcome.verdict.action


def _line(
    run: TransactionRun, action: Action, seconds: float, watched: tuple[str, ...], would_be: Action | None
) -> log.TransactionLine:
    transaction, outcome, reply = run.transaction, run.outcome, run.reply
    return log.TransactionLine(
        id=run.id,
        listener=transaction.listener,
        sender=transaction.sender,
        recipients=len(transaction.recipients),
        size=len(transaction.content),
        status=log.STATUSES[action],
        client=transaction.client.address,
        rules=outcome.verdict.rules if outcome else (),
        mailing=outcome.mailing if outcome else None,
        login=transaction.login,
        message_id=run.arrival.facts.message_id if run.arrival else None,
        reply="" if run.relayed or reply is None else str(reply),
        relay=str(reply) if run.relayed and reply is not None else "",
        observed=log.STATUSES[would_be] if would_be else "",
        watched=watched,
        repeated=bool(outcome and outcome.repeated),
        delay=seconds,
    )


def _would_be(run: TransactionRun) -> Action | None:
    """Return what the gate would have done, where it only observed and let pass what it would have stopped."""
    judgment, outcome = run.judgment, run.outcome
    if judgment is None or outcome is None or not run.observes:
        return None
    return None if judgment.verdict.action is outcome.verdict.action else judgment.verdict.action


def _watched(run: TransactionRun) -> tuple[str, ...]:
    """Return the ids of rules with `mode: observe` that matched."""
    judgment = run.judgment
    return observed(judgment.ruleset, judgment.evidence, judgment.now) if judgment else ()


def _record(auditor: Auditor, run: TransactionRun, action: Action, watched: tuple[str, ...]) -> None:
    outcome, judgment, source = run.outcome, run.judgment, run.arrival and run.arrival.source
    about = DecisionContext(
        id=run.id,
        done="gather" if outcome and outcome.gathered else action.value,
        moment=_occasion_of(run),
        key=outcome.key if outcome else None,
        mailing=outcome.mailing if outcome else None,
        watched=watched,
    )
    if judgment and about.moment == ARRIVED:
        auditor.judged(judgment, about)
    else:
        mailbox = source.mailbox if source else run.transaction.sender
        auditor.unjudged(run.now, action.value, mailbox, about)


def _occasion_of(run: TransactionRun) -> str:
    outcome = run.outcome
    if outcome is None or run.failure:
        return FAILED
    if not outcome.repeated:
        return ARRIVED
    return RESENT if outcome.batch is not None else RETURNED
