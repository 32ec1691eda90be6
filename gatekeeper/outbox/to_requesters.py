"""Writes notices about requests: to those who decide, and to requesters at each change of state (policies M3, M5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import WITHOUT_ASKING, PermitState, RequestState
from gatekeeper.notices import MatterNotice, labelled, plain, say_count
from gatekeeper.outbox.held_content import HeldContent, content_lines
from gatekeeper.outbox.letterhead import Letterhead, said, said_day
from gatekeeper.outbox.matter_brief import MatterBrief, MatterOutcome
from gatekeeper.outbox.to_approvers import send, whose_yes_of
from gatekeeper.outbox.who_decides import escalated_to
from gatekeeper.policy.agreement import agreements_to_request
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.denials import with_category
from gatekeeper.policy.matters import MatterKind, last_day
from gatekeeper.rules.ruleset import Ruleset, calendar_of
from gatekeeper.store import Connection
from gatekeeper.store.events import ASKED, ESCALATED, INFORMED, NOTIFIED
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.requests import NEEDED, UNNEEDED, RequestView
from gatekeeper.store.views import EventView

_WAITS = "it waits for a decision; the answer comes by mail. Until then nothing may be sent: received is not approved."
_SHELL = "With a shell on the gate: gatekeeper request submit"
_AGAIN = f"change it, and submit it again under its number. {_SHELL} --revise {{id}}."
_APPEAL = (
    "nothing may be sent. Ask the contact below what would help; you may appeal once. "
    f"{_SHELL} --appeal {{id}} --reason, and why."
)
_CHANGES: Mapping[str, tuple[str, str, str]] = {  # what happened: headline, what became of it, what comes next
    "submitted": ("Received", "received", _WAITS),
    "submitted again": ("Received again", "received again", _WAITS),
    "appealed": ("Appeal received", "received again as an appeal", _WAITS),
    "changes asked": ("Changes are asked", "sent back with changes asked", _AGAIN),
    "approved": ("Approved", "approved", "send the mailing as you asked for it; what differs from that is held."),
    "denied": ("Denied", "denied", _APPEAL),
    "withdrawn": ("Withdrawn", "withdrawn", "nothing may be sent."),
    "revoked": ("Revoked", "approved, and then revoked", "send no more of it; what was on its way is stopped."),
    UNNEEDED: (
        "Not needed",
        "found not to be needed",
        f"{WITHOUT_ASKING}. You will be told if the rules change by then.",
    ),
    NEEDED: ("Needed now", "found to be needed, since the rules have changed", _WAITS),
    "narrowed": ("Narrowed", "approved, and its permit was then narrowed", "keep to what is permitted now."),
    "used": ("Used", "used: its permit covers no further mailing", "for another mailing, ask again."),
    "given back": ("May be used again", "used by a mailing that was not sent", "send the mailing as you asked for it."),
    "expired": ("Expired", "not decided, or not used, in time", "if it is still needed, ask again."),
}
_ENDED = frozenset({"approved", "denied", "changes asked", "withdrawn", "expired"})  # what a decision may come to
SUBMITTED_ACTS = frozenset({"submitted", "submitted again", "appealed"})
_BEGINS = {"appealed": "This is an appeal.", "submitted again": "It was changed and submitted again."}
_DECIDED_BEFORE = {"changes asked": "Changes were asked by", "denied": "It was denied by"}
_PERMITTED = frozenset({"approved", "narrowed", "used", "given back", "revoked"})  # after which there is a permit
_CONTENT = {
    "exact": "the very message that was given, unchanged",
    "template": "messages like the one that was given: links and files the same, few words different",
    "none": "any message with this subject",
}
_FINAL = "nothing may be sent, and the decision is final."
_APPEALED = "nothing may be sent. It was appealed before, and cannot be again; ask the contact below what would help."


@immutable
class RequestNews:
    """Something that has become of a request, which its requester is told."""

    request: RequestView
    event: EventView
    permits: Sequence[PermitView] = ()
    is_first: bool = False  # of all letters about it
    is_last: bool = True  # of what is told now


def question_of(
    letterhead: Letterhead, request: RequestView, rules: tuple[str, ...], events: Sequence[EventView], today: date
) -> Question:
    """Return a request as a question that is to be decided.

    An appeal is decided by somebody else, where there is somebody else.
    """
    draft, known = request.draft, letterhead.ruleset.agencies
    since = request.submitted_at
    question = Question(
        id=request.id,
        own=frozenset({request.requester, *(each for each in draft.senders if "@" in each)}),
        agency=draft.agency,
        lists=frozenset(each for each in draft.audiences if each not in known),
        rules=rules,
        agencies=frozenset(each for each in draft.audiences if each in known),
        today=today,
        also=frozenset(event.text or "" for event in events if event.act == ASKED and event.at >= since),
    )
    if any(event.act == ESCALATED and event.at >= since for event in events):
        question = replace(question, escalated=escalated_to(letterhead, question))
    if request.appealed and request.decided_by and request.state is RequestState.SUBMITTED:
        others = replace(question, own=question.own | {request.decided_by})
        return others if Approvers(letterhead.ruleset).available_deciders(others) else question
    return question


def of_request(
    letterhead: Letterhead,
    request: RequestView,
    events: Sequence[EventView],
    now: float,
    content: HeldContent | None = None,
) -> MatterBrief:
    """Return a request with all that a notice says about it.

    Args: `content` of the message that it is bound to; None where it is bound to none, or none was read.
    """
    calendar = calendar_of(letterhead.ruleset)
    first = events[0].at if events else request.submitted_at
    name = f"{request.id.lower()}.{first:.0f}@{letterhead.hostname}"
    rules = (letterhead.ruleset.rule(each) for each in request.rules)
    cites = [f"{rule.id} ({rule.cite})" if rule.cite else rule.id for rule in rules if rule]
    return MatterBrief(
        letterhead=letterhead,
        question=question_of(letterhead, request, request.rules, events, calendar.day(moment_of(now))),
        what=MatterKind.REQUEST,
        key=None,
        subject=request.draft.subject,
        details=details(letterhead, request, content),
        sent="Nothing has been sent under it.",
        before="\n".join(_said_before(letterhead, events)),
        reasons=f"  {plain(_answers(cites))}",
        since=moment_of(request.submitted_at),
        root=name,
        opened=any(event.act == NOTIFIED for event in events),
        agreements=agreements_to_request(request, events),
        otherwise=_lapses(letterhead, request),
        events=events,
        senders={request.requester: f"asked.{name}"},
        content=content,
    )


def _said_before(letterhead: Letterhead, events: Sequence[EventView]) -> list[str]:
    """Return sentences: whether it is an appeal or a new try, what was decided before, and what its requester says."""
    asked = [event for event in events if event.act in SUBMITTED_ACTS]
    decided = [event for event in events if event.act in _DECIDED_BEFORE]
    begins = _BEGINS.get(asked[-1].act, "") if asked else ""
    sentences = [begins, *(_decided(letterhead, event) for event in decided)]
    sentences += [f'{event.by} says: "{plain(event.text)}"' for event in asked[-1:] if event.text]
    return list(filter(None, sentences))


def _decided(letterhead: Letterhead, event: EventView) -> str:
    reason = f': "{plain(event.text)}"' if event.text else "."
    return f"{_DECIDED_BEFORE[event.act]} {event.by} on {said(moment_of(event.at), letterhead)}{reason}"


def _answers(rules: Sequence[str]) -> str:
    return (
        f"A mailing like this would be held, by the {'rule' if len(rules) == 1 else 'rules'} {', '.join(rules)}."
        if rules
        else "No rule would hold it."
    )


def _lapses(letterhead: Letterhead, request: RequestView) -> str:
    last = last_day(letterhead.ruleset, request)
    return f"it lapses after {said_day(last)}." if last else "it goes on waiting."


def details(letterhead: Letterhead, request: RequestView, content: HeldContent | None = None) -> str:
    """Return what is asked for, a label and a value a line."""
    draft, named = request.draft, letterhead.named
    late = f"the request came late; the earliest day would have been {_day(request.earliest)}" if request.late else ""
    bound = "bound to the message that was given" if draft.content else "no message was given; any with this subject"
    return labelled(
        {
            "Request": f"{request.id} of {named(draft.agency)}, by {request.requester}",
            "Subject": draft.subject,
            "Senders": ", ".join(map(named, draft.senders)),
            "Goes to": ", ".join(map(named, draft.audiences)),
            "Users": f"at most {draft.users:,}",
            "Planned": _day(draft.planned),
            "Needed by": _day(draft.needed_by),
            "Purpose": draft.purpose,
            "Notice": late,
            "Content": bound,
            **(content_lines(content) if content else {}),
            "Kind": "an exception, which stands until it ends" if draft.exception else "",
        }
    )


def _day(day: date | None) -> str:
    return said_day(day) if day else ""


def news_of(events: Sequence[EventView]) -> list[EventView]:
    """Return the events since the requester was last told; one that was submitted and not needed is told as that."""
    told = max((number for number, event in enumerate(events) if event.act == INFORMED), default=-1)
    news = [event for event in events[told + 1 :] if event.act in _CHANGES]
    settled = {id(event) for event, then in pairwise(news) if then.act == UNNEEDED}
    return [event for event in news if id(event) not in settled]


def outcome_of(ruleset: Ruleset, event: EventView) -> MatterOutcome | None:
    """Return what a request has come to by that event; None where it goes on."""
    if event.act not in _ENDED:
        return None
    _, outcome, _ = _CHANGES[event.act]
    text = with_category(ruleset, event.details, event.text or "")
    return MatterOutcome(outcome, (event.by,) if event.by else (), comment=text)


def tell_requester(connection: Connection, brief: MatterBrief, news: RequestNews, now: float) -> None:
    """Tell the requester what became of the request (policy M5)."""
    event, request = news.event, news.request
    headline, outcome, following = _CHANGES[event.act]
    if event.act == "denied" and (request.final or request.appealed):
        following = _FINAL if request.final else _APPEALED
    if event.act == "changes asked":
        following += f" If you do not, {brief.otherwise}"
    if not news.is_last:
        following = "more has become of it since; the next letter says what."
    own, text = event.by == request.requester, with_category(brief.letterhead.ruleset, event.details, event.text or "")
    waits = news.is_last and request.state is RequestState.SUBMITTED
    words = {
        "headline": headline,
        "outcome": outcome,
        "details": brief.details,
        "permit": _permitted(brief.letterhead, news.permits) if event.act in _PERMITTED else "",
        "asked": whose_yes_of(brief) if waits else "",
        "otherwise": brief.otherwise if waits else "",
        "by": f" by {plain(event.by)}" if event.by and not own else "",
        "comment": f"{'You wrote' if own else 'They say'}: {plain(text)}" if text else "",
        "next": following.format(id=request.id),
    }
    notice = MatterNotice(
        kind="request",
        to=(request.requester,),
        number=request.id,
        subject=request.draft.subject,
        root=brief.senders.get(request.requester) or brief.root,
        opens=news.is_first,
        link=brief.letterhead.link(request.id),
        words=words,
        stamp=f"{event.at:.3f}",
    )
    send(connection, brief, f"{event.act}:{event.at:.3f}", notice, now)


def _permitted(letterhead: Letterhead, permits: Sequence[PermitView]) -> str:
    """Return the terms of the last permit, a label and a value a line."""
    if not permits:
        return ""
    permit = permits[-1]
    mailings = "any number of mailings" if permit.uses is None else say_count(permit.uses, "mailing", "mailings")
    users = f", to at most {say_count(permit.ceiling, 'user', 'users')}" if permit.ceiling is not None else ""
    return labelled(
        {
            "Permit": permit.id if permit.state is PermitState.IN_FORCE else f"{permit.id}, {permit.state}",
            "Valid from": said(moment_of(permit.since), letterhead),
            "Until": said(moment_of(permit.until), letterhead),
            "For": f"{mailings}{users}",
            "Used by": ", ".join(permit.mailings),
            "Content": _CONTENT[permit.binding] if permit.subject or permit.binding != "none" else "any message",
        }
    )
