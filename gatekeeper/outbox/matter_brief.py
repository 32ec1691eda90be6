"""Gathers all that notices say about a matter that people decide: of a held mailing here, of a request in
`to_requesters.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked_line
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import subject_key
from gatekeeper.notices import labelled, numbered_list, plain
from gatekeeper.outbox.held_content import HeldContent, content_lines, octets_text
from gatekeeper.outbox.letterhead import Letterhead, said
from gatekeeper.outbox.to_senders import sent_so_far
from gatekeeper.outbox.who_decides import escalated_to, goes_back, question_of_mailing
from gatekeeper.policy import agreement
from gatekeeper.policy.agreement import Agreements
from gatekeeper.policy.approvers import Question
from gatekeeper.policy.matters import MatterKind
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, reminders, views
from gatekeeper.store.earlier_decisions import earlier_decisions
from gatekeeper.store.events import NOTIFIED
from gatekeeper.store.reminders import HeldBatches
from gatekeeper.store.versions import IN_PART
from gatekeeper.store.views import EventView, MailingView

_SENDERS_NAMED = 5
_BEFORE = {"approved": "approved", IN_PART: "approved in part", "stopped": "stopped"}  # acts, as they are told
_DECISIONS_NAMED = 3
STILL_HELD = "Still held"  # the label of how many wait, which is over once a mailing is decided
SUBJECT = 200  # characters of a subject in a notice


@immutable
class MatterBrief:
    """A matter with all that a notice says about it."""

    letterhead: Letterhead
    question: Question
    what: MatterKind
    key: int | None  # of the mailing in the database
    subject: str
    details: str
    sent: str  # a sentence: how many have it already
    before: str  # sentences, a line each: what was decided before, and what its sender or requester says
    reasons: str
    since: datetime
    root: str  # Message-ID of the first notice about it
    opened: bool  # whether that one has been sent
    agreements: Agreements  # whose yes counts, and who has agreed to an earlier state
    otherwise: str  # what happens if nobody decides
    events: Sequence[EventView]
    senders: Mapping[str, str | None]  # whose it is and may be told, with the Message-ID of the mail that they know
    origin: str = ""  # of the mailing: its source's mailbox
    content: HeldContent | None = None  # None where no message was read
    silent: bool = False  # a mail of the gate itself: nobody is told by more mail

    def passed_on(self) -> MatterBrief:
        """Return the same, for those to whom the matter is passed on."""
        return replace(self, question=replace(self.question, escalated=escalated_to(self.letterhead, self.question)))


@immutable
class MatterOutcome:
    """What a matter has come to: what was done, by whom, and what becomes of the mailing then."""

    outcome: str  # "denied"
    by: tuple[str, ...] = ()  # all who agreed; the last of them has decided it
    then: str = ""  # "what was held of it is not sent"
    comment: str = ""


def of_mailing(
    connection: Connection, letterhead: Letterhead, key: int, now: float, content: HeldContent | None = None
) -> MatterBrief | None:
    """Return a held mailing with all that a notice says about it; None while none of its batches is acknowledged.

    Args: `content` of its messages; None where none was read, and then notices say nothing about files and links.
    """
    origin = reminders.held_batches(connection, key)
    if origin is None:
        return None
    mailing, today = views.view_mailing(connection, key), calendar_of(letterhead.ruleset).day(moment_of(now))
    events = views.timeline(connection, key)
    summary = letterhead.summary(mailing, mailing.reasons)
    texts = [f"{reason.text} ({reason.cite})" if reason.cite else reason.text for reason in mailing.reasons]
    held_at, lines = mailing.held_at or mailing.started_at, content_lines(content) if content else {}
    return MatterBrief(
        letterhead=letterhead,
        question=question_of_mailing(letterhead, mailing, origin, events, today),
        what=MatterKind.MAILING,
        key=key,
        subject=mailing.subject,
        details=labelled(
            {
                "Mailing": mailing.id,
                "Subject": marked_line(mailing.subject, SUBJECT) or "(none)",
                "From": lines.get("From", ""),
                "Sender": _sender(mailing, origin),
                "Reaches": notices.describe_reach(summary),
                "Lists": _shown(sorted(mailing.counts.lists)),
                "Files": lines.get("Files", ""),
                "Links to": lines.get("Links to", ""),
                STILL_HELD: f"for {notices.say_count(origin.recipients, 'recipient', 'recipients')}",
                "Size": octets_text(origin.octets),
            }
        ),
        sent=sent_so_far(connection, mailing, now, "it") or "Nothing of it has been sent.",
        before="\n".join(_decided_before(connection, letterhead, mailing, events)),
        reasons=numbered_list(texts),
        since=moment_of(held_at),
        root=f"{mailing.id.lower()}.{mailing.started_at:.0f}@{letterhead.hostname}",
        opened=any(event.act == NOTIFIED for event in events),
        agreements=agreement.agreements_to(agreement.decided_mailing(connection, mailing), events, mailing.held_at),
        otherwise=goes_back(letterhead, moment_of(held_at)),
        events=events,
        senders=origin.told,
        origin=mailing.sender,
        content=content,
        silent=_is_ours(origin, letterhead),
    )


def _decided_before(
    connection: Connection, letterhead: Letterhead, mailing: MailingView, events: Sequence[EventView]
) -> list[str]:
    """Return a sentence for each decision about earlier mailings on the subject, and about this one."""
    key, earlier = subject_key(mailing.subject), earlier_decisions(connection, mailing)
    alike = [each for each in earlier if subject_key(each.subject) == key]
    others = [
        f"The earlier mailing {each.id} of this sender on this subject was {each.state} by {each.by} on "
        f"{said(moment_of(each.at), letterhead)}{_because(each.reason)}"
        for each in alike[-_DECISIONS_NAMED:]
    ]
    own = [event for event in events if event.act in _BEFORE and event.by]
    return [*others, *(_earlier_part(letterhead, event) for event in own[-_DECISIONS_NAMED:])]


def _earlier_part(letterhead: Letterhead, event: EventView) -> str:
    reason = "" if event.act == "stopped" else event.text or ""
    under = f", who took back or narrowed {event.text}" if event.act == "stopped" else ""
    done = f"Earlier it was {_BEFORE[event.act]} by {event.by}{under} on {said(moment_of(event.at), letterhead)}"
    return f"{done}{_because(reason)}"


def _because(reason: str) -> str:
    return f': "{plain(reason, 300)}"' if reason.strip() else "."


def _sender(mailing: MailingView, origin: HeldBatches) -> str:
    """Return the mailing's sender and others who send it; where that is only a name in From, what else is known."""
    if mailing.sender in origin.parties or not mailing.sender:
        return _shown([mailing.sender, *sorted(origin.parties - {mailing.sender, ""})])
    kind, names = ("the login", origin.logins) if origin.logins else ("MAIL FROM", origin.senders - {""})
    known = f"{kind} is {_shown(sorted(names))}" if names else "neither a login nor MAIL FROM says who sent it"
    return f"{mailing.sender}, by From alone; {known}"


def _shown(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _SENDERS_NAMED
    return ", ".join(names[:_SENDERS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_ours(origin: HeldBatches, letterhead: Letterhead) -> bool:
    """Return True for mail that the gate itself has written: notices about notices would never end."""
    return origin.senders == {""} and (origin.message_id or "").endswith(f"@{letterhead.hostname}")
