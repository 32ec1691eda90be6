"""Writes notices about emergencies (policy M1): every approver is told at once, and reminded of the review."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.notices import MatterNotice, labelled, plain, say_count
from gatekeeper.outbox.letterhead import Letterhead, once_name, said
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, jobs
from gatekeeper.store.events import NOTIFIED, REMINDED
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.permits import effect_of
from gatekeeper.store.views import EventView

_REVIEWED = "reviewed"
_REVIEW = (
    "look at what was sent under it, and close the review with what you found. With a shell on the gate: "
    "gatekeeper permit show {id}, then gatekeeper permit review {id}"
)
_END = "; gatekeeper permit revoke {id} ends it at once"


def reviewers(ruleset: Ruleset, permit: PermitView, today: date) -> frozenset[str]:
    """Return every approver and their delegates, but for who declared it; admins where nobody else is left."""
    for role in ("approver", "admin"):
        holders = ruleset.people_with(role)
        delegations = (ruleset.people[each].delegate for each in holders)
        delegates = (each.to for each in delegations if each and today <= each.until)
        if found := frozenset((*holders, *delegates)) - {permit.given_by}:
            return found
    return frozenset()


def due_step(ruleset: Ruleset, events: Sequence[EventView], now: float) -> str | None:
    """Return whether those who review an emergency are to be told or reminded now; None for neither."""
    told = [event.at for event in events if event.act in (NOTIFIED, REMINDED)]
    if not told:
        return NOTIFIED
    again = moment_after(calendar_of(ruleset), moment_of(max(told)), ruleset.held.remind)
    return REMINDED if again and moment_of(now) >= again else None


@immutable
class EmergencyNews:
    """What is told about an emergency: by which step, with which headline and sentence, and what to do."""

    step: str
    headline: str
    what: str
    next: str
    comment: str
    says: str = "The reason"  # what the comment is


def ask_for_review(
    connection: Connection, letterhead: Letterhead, permit: PermitView, step: str, now: float
) -> frozenset[str]:
    """Tell every approver of an emergency, or remind them of its review; return who was told."""
    told = reviewers(letterhead.ruleset, permit, calendar_of(letterhead.ruleset).day(moment_of(now)))
    agencies = _agencies(letterhead, permit)
    if step == NOTIFIED:
        headline = "Emergency declared"
        what = f"{permit.given_by} has declared an emergency of {agencies}: its mail passes without approval."
    else:
        headline = "Emergency to review"
        what = f"Nobody has reviewed the emergency yet that {permit.given_by} declared for {agencies}."
    following = f"{_REVIEW}{_END if now < permit.until else ''}.".format(id=permit.id)
    news = EmergencyNews(step, headline, what, following, permit.reason)
    _send(connection, letterhead, permit, news, sorted(told), now)
    return told


def tell_reviewed(
    connection: Connection, letterhead: Letterhead, permit: PermitView, by: str, found: str, now: float
) -> None:
    """Tell the other approvers, and who declared it, that an emergency was reviewed and what was found."""
    readers = reviewers(letterhead.ruleset, permit, calendar_of(letterhead.ruleset).day(moment_of(now)))
    what = f"{by} has reviewed the emergency of {_agencies(letterhead, permit)} that {permit.given_by} declared."
    news = EmergencyNews(_REVIEWED, "Emergency reviewed", what, "nothing.", found, "The review found")
    _send(connection, letterhead, permit, news, sorted({*readers, permit.given_by} - {by}), now)


def _send(
    connection: Connection,
    letterhead: Letterhead,
    permit: PermitView,
    news: EmergencyNews,
    to: Iterable[str],
    now: float,
) -> None:
    for reader in to:
        notice = MatterNotice(
            kind="emergency",
            to=(reader,),
            number=permit.id,
            subject=_agencies(letterhead, permit),
            root=f"{permit.id.lower()}.{permit.given_at:.0f}.{once_name('', '', reader)[2:]}@{letterhead.hostname}",
            opens=news.step == NOTIFIED,
            link=letterhead.link(permit.id),
            words={
                "headline": news.headline,
                "what": news.what,
                "details": _details(letterhead, permit, now),
                "comment": f"{news.says}: {plain(news.comment)}",
                "sent": _sent(connection, permit, now),
                "next": news.next,
            },
            stamp=f"{now:.0f}",
        )
        content = notices.matter_notice(notice, letterhead.organisation, moment_of(now))
        once = once_name(f"{news.step}:{now:.3f}", permit.id, reader)
        jobs.enqueue(connection, jobs.NewJob(jobs.NOTICE, now, once=once, recipient=reader, content=content))


def _details(letterhead: Letterhead, permit: PermitView, now: float) -> str:
    return labelled(
        {
            "Permit": f"{permit.id}, {'over' if permit.until < now else permit.state}",
            "For mail of": _agencies(letterhead, permit),
            "Declared by": permit.given_by,
            "From": said(moment_of(permit.since), letterhead),
            "Until": said(moment_of(permit.until), letterhead),
        }
    )


def _sent(connection: Connection, permit: PermitView, now: float) -> str:
    found = effect_of(connection, permit, now)
    if not permit.mailings:
        return "No mailing has used it yet."
    to = say_count(found.sent, "recipient", "recipients")
    return f"Under it {', '.join(permit.mailings[:20])} passed, to {to} so far."


def _agencies(letterhead: Letterhead, permit: PermitView) -> str:
    return ", ".join(map(letterhead.named, sorted(permit.scope.agencies)))
