"""Which step is due for a held mailing or a request that nobody has decided: notify, remind, escalate or expire."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from gatekeeper.lib.moments import moment_of
from gatekeeper.message import subject_key
from gatekeeper.rules.specs import Held, Span
from gatekeeper.store.reminders import ESCALATED, NOTIFIED, REMINDED, HeldMailing
from gatekeeper.store.requests import RequestView
from gatekeeper.workdays import Calendar

EXPIRE = "expire"
LEGAL_NOTICE = "legal notice"
SETTLE = timedelta(seconds=2)  # so that the first notice of a mailing of many batches describes most of it


def due_step(
    mailing: HeldMailing, held: Held, calendar: Calendar, now: datetime, needed_by: date | None = None
) -> str | None:
    """Return the step that is due about a held mailing now: expire, notify, escalate or remind; None for none.

    Args: `needed_by` is the day by which a legal notice must have left.
    """
    since = moment_of(mailing.held_at)
    if _has_passed(calendar, since, held.expire, now):
        return EXPIRE
    if mailing.notified_at is None:
        return NOTIFIED if now >= since + SETTLE else None
    if mailing.escalated_at is None and _is_to_escalate(held, calendar, since, now, needed_by):
        return ESCALATED
    last = max(filter(None, (mailing.reminded_at, mailing.escalated_at)), default=mailing.held_at)
    return REMINDED if _has_passed(calendar, moment_of(last), held.remind, now) else None


def _is_to_escalate(held: Held, calendar: Calendar, since: datetime, now: datetime, needed_by: date | None) -> bool:
    escalate = held.escalate
    if needed_by and now >= calendar.before(needed_by, escalate.before.working_days, escalate.before.time):
        return True
    return _has_passed(calendar, since, escalate.after, now)


def _has_passed(calendar: Calendar, since: datetime, span: Span, now: datetime) -> bool:
    return bool(span) and now >= calendar.after(since, span.working_days, span.time)


def needed_by(mailing: HeldMailing, legal: Iterable[RequestView]) -> date | None:
    """Return the first day by which a held mailing is needed, as requests for a legal notice of that subject say."""
    key = subject_key(mailing.subject)
    asked = (each.draft for each in legal if each.draft.subject_key == key and mailing.sender in each.draft.senders)
    return min((draft.needed_by for draft in asked if draft.needed_by), default=None)
