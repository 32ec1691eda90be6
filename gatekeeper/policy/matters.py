"""Matters that wait for people, held mailings and requests, and which steps are due about one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import RequestState
from gatekeeper.message import subject_key
from gatekeeper.rules.ruleset import Ruleset, calendar_of
from gatekeeper.rules.specs import Held, Span
from gatekeeper.store.events import ESCALATED, INFORMED, NOTIFIED, REMINDED
from gatekeeper.store.reminders import HeldMailing
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import EventView
from gatekeeper.workdays import Calendar

EXPIRE = "expire"
LEGAL_NOTICE = "legal notice"
SETTLE = timedelta(seconds=2)  # so that the first notice of a mailing of many batches describes most of it
WINDOW = 2  # working days after the planned day in which a mailing that was asked for may still be sent


class MatterKind(StrEnum):
    """What a matter is."""

    MAILING = "mailing"
    REQUEST = "request"


@immutable
class Matter:
    """A held mailing or a request: since when it waits, which steps were taken, and when it is over."""

    kind: MatterKind
    key: int  # in the database
    since: datetime
    notified: datetime | None = None  # each step, when it was last taken since then
    reminded: datetime | None = None
    escalated: datetime | None = None
    is_asked: bool = True  # somebody is to decide; False for a request that waits for its requester, or is decided
    has_news: bool = False  # something has become of it that its requester has not been told
    needed_by: date | None = None  # the day by which a legal notice must have left
    ends: datetime | None = None  # when it expires undecided; None where it waits for ever


def matter_of_mailing(ruleset: Ruleset, held: HeldMailing, legal: Iterable[RequestView]) -> Matter:
    """Return a held mailing as a matter. Args: `legal` are requests for legal notices, one of which it may be."""
    calendar, since = calendar_of(ruleset), moment_of(held.held_at)
    needed_by, ends = _needed_by(held, legal), moment_after(calendar, since, ruleset.held.expire)
    return _with_steps(Matter(MatterKind.MAILING, held.key, since, needed_by=needed_by, ends=ends), held.steps)


def matter_of_request(ruleset: Ruleset, request: RequestView, events: Sequence[EventView], *, has_news: bool) -> Matter:
    """Return a request as a matter."""
    calendar, last = calendar_of(ruleset), last_day(ruleset, request)
    is_open = request.state in (RequestState.SUBMITTED, RequestState.CHANGES)
    matter = Matter(
        kind=MatterKind.REQUEST,
        key=request.key,
        since=moment_of(request.submitted_at),
        is_asked=request.state is RequestState.SUBMITTED,
        has_news=has_news,
        needed_by=request.draft.needed_by if request.draft.purpose.casefold() == LEGAL_NOTICE else None,
        ends=calendar.before(last + timedelta(days=1), 0) if is_open and last else None,
    )
    return _with_steps(matter, {event.act: event.at for event in events if event.at >= request.submitted_at})


def _with_steps(matter: Matter, steps: Mapping[str, float]) -> Matter:
    notified, reminded, escalated = (
        moment_of(steps[step]) if step in steps else None for step in (NOTIFIED, REMINDED, ESCALATED)
    )
    return replace(matter, notified=notified, reminded=reminded, escalated=escalated)


def _needed_by(held: HeldMailing, legal: Iterable[RequestView]) -> date | None:
    """Return the first day by which a held mailing is needed, as requests for a legal notice of that subject say."""
    key = subject_key(held.subject)
    asked = (each.draft for each in legal if each.draft.subject_key == key and held.sender in each.draft.senders)
    return min((draft.needed_by for draft in asked if draft.needed_by), default=None)


def last_day(ruleset: Ruleset, request: RequestView) -> date | None:
    """Return the last day on which a request waits: of its window, or by `held.expire` where no day is planned.

    None where it waits for ever. Without a planned day it waits from when it was submitted or sent back.
    """
    calendar = calendar_of(ruleset)
    if request.draft.planned:
        return calendar.add(request.draft.planned, WINDOW)
    since = request.changed_at if request.state is RequestState.CHANGES else request.submitted_at
    ends = moment_after(calendar, moment_of(since), ruleset.held.expire)
    return calendar.day(ends) if ends else None


# -- what is due -------------------------------------------------------------------------------------------------


def due_steps(matter: Matter, held: Held, calendar: Calendar, now: datetime) -> list[str]:
    """Return the steps that are due about a matter now, in order. Args: `held` as in rules.yaml."""
    told = [INFORMED] if matter.has_news else []
    if matter.ends is not None and now >= matter.ends:
        return [*told, EXPIRE]
    step = _step_of_approvers(matter, held, calendar, now) if matter.is_asked else None
    return [*told, step] if step else told


def _step_of_approvers(matter: Matter, held: Held, calendar: Calendar, now: datetime) -> str | None:
    if matter.notified is None:
        return NOTIFIED if now >= matter.since + SETTLE else None
    if matter.escalated is None and _is_to_escalate(matter, held, calendar, now):
        return ESCALATED
    last = max(filter(None, (matter.reminded, matter.escalated)), default=matter.since)
    return REMINDED if _has_passed(calendar, last, held.remind, now) else None


def _is_to_escalate(matter: Matter, held: Held, calendar: Calendar, now: datetime) -> bool:
    before = held.escalate.before
    if matter.needed_by and now >= calendar.before(matter.needed_by, before.working_days, before.time):
        return True
    return _has_passed(calendar, matter.since, held.escalate.after, now)


def _has_passed(calendar: Calendar, since: datetime, span: Span, now: datetime) -> bool:
    end = moment_after(calendar, since, span)
    return end is not None and now >= end


def moment_after(calendar: Calendar, since: datetime, span: Span) -> datetime | None:
    """Return the moment a span later; None where the span is not given."""
    return calendar.after(since, span.working_days, span.time) if span else None
