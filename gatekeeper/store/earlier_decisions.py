"""Decisions about earlier mailings of a sender, which those who decide about the next one want to know."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.store.db.schema import events, mailings
from gatekeeper.store.views import NUMBERED, MailingView

_ENDED = (MailingState.DENIED, MailingState.RETURNED)
_DAYS = 30
_MOST = 50


@immutable
class EarlierDecision:
    """How an earlier mailing ended: who decided, when, and why."""

    id: str  # "M-1"
    subject: str
    state: str
    at: float
    by: str
    reason: str


def earlier_decisions(connection: Connection, mailing: MailingView) -> list[EarlierDecision]:
    """Return the denials and returns of earlier mailings of the same sender, of the last 30 days, oldest first."""
    since = mailing.started_at - _DAYS * 86_400.0
    ended = (mailings.c.state.in_(_ENDED), mailings.c.started_at >= since, mailings.c.id < mailing.key)
    query = (
        select(mailings.c.number, mailings.c.subject, mailings.c.state, events.c.at, events.c.by, events.c.text)
        .join(events, events.c.mailing_id == mailings.c.id)
        .where(*NUMBERED, *ended, mailings.c.sender == mailing.sender)
        .where(events.c.act == mailings.c.state, events.c.by.is_not(None))
        .order_by(events.c.id.desc())
        .limit(_MOST)
    )
    found = connection.execute(query).all()
    return [EarlierDecision(f"M-{row[0]}", row[1] or "", row[2], row[3], row[4], row[5] or "") for row in found[::-1]]
