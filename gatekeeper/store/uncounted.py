"""Mail that is counted in no mailing: a resend of what is kept, an answer of a machine, a cancellation."""

from __future__ import annotations

from sqlalchemy import bindparam, literal_column, select

from gatekeeper.lifecycle import KEPT_BATCHES, BatchState
from gatekeeper.model import Action, Counts, Outcome, Standing, Verdict
from gatekeeper.store.answers import answers_passed
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.db.statements import Row, Statement, one_of
from gatekeeper.store.events import Event, record
from gatekeeper.store.rest import keep_rest
from gatekeeper.store.rows import counts_of, mailing_name, reasons_from_rows
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork

_LEFT = (BatchState.RELEASED, BatchState.SENT)
_RESEND_SECONDS = 5 * 86_400.0  # how long an MTA tries again (RFC 5321 4.5.4.1)


def find_uncounted(unit: UnitOfWork, pending: PendingDecision) -> Outcome | None:
    """Return the outcome of such mail, None for all other. Raises DBAPIError, and what the judge raises."""
    return _find_repeated(unit, pending) or _find_answering(unit, pending) or _find_cancelling(unit, pending)


def _find_cancelling(unit: UnitOfWork, pending: PendingDecision) -> Outcome | None:
    """Judge a message that calls off an approved invitation by the permit of that; None where it is held even so."""
    cancelled = pending.arrival.cancelled
    if cancelled is None:
        return None
    counts = Counts.of(pending.arrival.audience)
    verdict = pending.judge(counts, Standing(permits=(cancelled.permit,), whole=True))
    if not verdict.action.passes:
        return None
    unit.write()
    rest = None
    if pending.arrival.transaction.beyond:
        rest = keep_rest(unit, pending, cancelled.key, Outcome(verdict, counts))
    text = f"by {pending.arrival.source.mailbox}, to {counts.people}"
    record(unit.connection, Event(pending.now, "called-off", mailing_id=cancelled.key, text=text))
    return Outcome(verdict, counts, cancelled.mailing, rest=rest)


def _find_answering(unit: UnitOfWork, pending: PendingDecision) -> Outcome | None:
    """Judge automatic mail that answers mail which the gate passed: it belongs to no mailing, and nobody is counted."""
    if not pending.arrival.answers:
        return None
    unit.write()
    if not answers_passed(unit.connection, unit.secret, pending.arrival):
        return None
    counts = Counts.of(pending.arrival.audience)
    return Outcome(pending.judge(counts, Standing(answers=True)), counts)


def _find_repeated(unit: UnitOfWork, pending: PendingDecision) -> Outcome | None:
    """Return the outcome of a batch with the same envelope, Message-ID and content that is stored, or was stored and
    sent.
    """
    if pending.arrival.returning or not unit.is_kept(pending):
        return None
    unit.write()
    since = pending.now - _RESEND_SECONDS
    found = _KEPT.rows(unit.connection, {"identity": unit.identity_of(pending), "since": since})
    return _repeat(found[0]) if found else None


_KEPT = Statement(
    lambda _: (
        select(
            batches.c.id.label("batch_id"),
            batches.c.reasons.label("batch_reasons"),
            batches.c.gathered.label("batch_gathered"),
            batches.c.state.label("batch_state"),
            mailings,
        )
        .join(mailings, batches.c.mailing_id == mailings.c.id)
        .where(batches.c.identity == bindparam("identity"), one_of(batches.c.state, KEPT_BATCHES))
        .where((batches.c.state != BatchState.SENT.value) | (batches.c.received_at > bindparam("since")))
        .limit(literal_column("1"))
    )
)


def _repeat(kept: Row) -> Outcome:
    action = Action.RELAY if kept["batch_gathered"] else Action.HOLD
    is_rest = kept["batch_state"] in _LEFT and kept["gather_since"] is None  # of a message that passed in parts
    return Outcome(
        Verdict(action, reasons_from_rows(kept["batch_reasons"]), mass=True),
        counts_of(kept),
        mailing_name(kept["number"]),
        key=kept["id"],
        batch=kept["batch_id"],
        gathered=kept["batch_gathered"] and not is_rest,
        repeated=True,
    )
