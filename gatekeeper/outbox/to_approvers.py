"""Writes notices to those who decide: that a matter waits for them, and that it is decided.

A matter is a held mailing or a request. All mails about one matter are one thread; none is sent twice, whichever
process queues it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

from gatekeeper import notices
from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.model import Attachment
from gatekeeper.notices import MatterNotice, labelled, numbered_list
from gatekeeper.outbox.letter_lists import LetterSubject, once_name, put_off
from gatekeeper.outbox.letterhead import Letterhead, said
from gatekeeper.outbox.to_senders import sent_so_far
from gatekeeper.policy import agreement
from gatekeeper.policy.agreement import Agreements
from gatekeeper.policy.approvers import Approvers, Question, agency_of
from gatekeeper.policy.matters import MatterKind
from gatekeeper.rules import Ask
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, jobs, reminders, views
from gatekeeper.store.reminders import ASKED, ESCALATED, NOTIFIED, REMINDED, HeldBatches
from gatekeeper.store.views import EventView, MailingView

_TEMPLATES = {NOTIFIED: "waiting", REMINDED: "reminder", ESCALATED: "passed-on"}
_DECIDED = "decided"
_FILES_NAMED = _SENDERS_NAMED = 5


@immutable
class Files:
    """The files attached to the messages of a mailing, as far as messages were read."""

    attached: tuple[Attachment, ...] = ()
    looked: int = 1  # messages of different content
    messages: int = 1


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
    reasons: str
    since: datetime
    root: str  # Message-ID of the first notice about it
    opened: bool  # whether that one has been sent
    agreements: Agreements  # whose yes counts, and who has agreed to an earlier state
    otherwise: str  # what happens if nobody decides
    events: Sequence[EventView]
    sender: str  # whose it is, "" where they may not be told
    message_id: str | None  # of the message that they know
    origin: str = ""  # of the mailing: its source's mailbox
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
    connection: Connection, letterhead: Letterhead, key: int, now: float, files: Files | None = None
) -> MatterBrief | None:
    """Return a held mailing with all that a notice says about it; None while none of its batches is acknowledged.

    Args: `files` attached to its messages; None where no message was read, and then notices say nothing about files.
    """
    origin = reminders.held_batches(connection, key)
    if origin is None:
        return None
    mailing, today = views.view_mailing(connection, key), calendar_of(letterhead.ruleset).day(moment_of(now))
    events = views.timeline(connection, key)
    summary = letterhead.summary(mailing, mailing.reasons)
    texts = [f"{reason.text} ({reason.cite})" if reason.cite else reason.text for reason in mailing.reasons]
    held_at = mailing.held_at or mailing.started_at
    return MatterBrief(
        letterhead=letterhead,
        question=question_of_mailing(letterhead, mailing, origin, events, today),
        what=MatterKind.MAILING,
        key=key,
        subject=mailing.subject,
        details=labelled(
            {
                "Mailing": mailing.id,
                "Subject": mailing.subject or "(none)",
                "Sender": _sender(mailing, origin),
                "Reaches": notices.describe_reach(summary),
                "Files": _files(files) if files else "",
                "Size": f"{_octets(origin.octets)} in {notices.say_count(origin.batches, 'batch', 'batches')}",
            }
        ),
        sent=sent_so_far(connection, mailing, now, "it") or "Nothing of it has been sent.",
        reasons=numbered_list(texts),
        since=moment_of(held_at),
        root=f"{mailing.id.lower()}.{mailing.started_at:.0f}@{letterhead.hostname}",
        opened=any(event.act == NOTIFIED for event in events),
        agreements=agreement.agreements_to(agreement.decided_mailing(connection, mailing), events, mailing.held_at),
        otherwise=_returned(letterhead, moment_of(held_at)),
        events=events,
        sender=origin.told,
        message_id=origin.message_id,
        origin=mailing.sender,
        silent=_is_ours(origin, letterhead),
    )


def question_of_mailing(
    letterhead: Letterhead, mailing: MailingView, origin: HeldBatches | None, events: Sequence[EventView], today: date
) -> Question:
    """Return a held mailing as a question that is to be decided; its own people are owners and logins of what is held.

    Whom From alone names is none of them, and may decide.
    """
    since = mailing.held_at or 0.0
    owner = (origin and origin.owner) or mailing.sender
    question = Question(
        id=mailing.id,
        own=origin.parties.union(map(normalise, origin.logins)) if origin else frozenset({mailing.sender}),
        agency=agency_of(letterhead.ruleset, owner),
        lists=mailing.counts.lists,
        agencies=frozenset(mailing.counts.agencies),
        rules=tuple(reason.rule for reason in mailing.reasons),
        today=today,
        also=frozenset(event.text or "" for event in events if event.act == ASKED and event.at >= since),
    )
    passed_on = any(event.act == ESCALATED and event.at >= since for event in events)
    return replace(question, escalated=escalated_to(letterhead, question)) if passed_on else question


def escalated_to(letterhead: Letterhead, question: Question) -> Ask:
    """Return to whom a matter is passed on: as rules.yaml says, else to the next role."""
    return letterhead.ruleset.held.escalate.to or Approvers(letterhead.ruleset).next_role(question)


# -- told --------------------------------------------------------------------------------------------------------


def ask(connection: Connection, brief: MatterBrief, step: str, now: float) -> frozenset[str]:
    """Notify those who decide that a matter waits, or remind them; returns who was notified.

    Args: `step` is told, reminded or passed on; `now` in seconds since 1970.
    """
    approvers = Approvers(brief.letterhead.ruleset)
    told = frozenset() if brief.silent else approvers.whom_to_notify(brief.question) - set(brief.agreements.people)
    if told:
        opens = step == NOTIFIED and not brief.opened
        words = _words(brief) | {"how": _how(brief)}
        notice = replace(_notice(brief, _TEMPLATES[step], sorted(told), words, now), opens=opens)
        (_send_few if step == NOTIFIED else send)(connection, brief, f"{step}:{now:.3f}", notice, now)
    return told


def ask_also(connection: Connection, brief: MatterBrief | None, whom: str, now: float) -> None:
    """Notify one more person who must agree, since an approver asked for it."""
    if brief is None or brief.silent:
        return
    words = _words(brief) | {"how": _how(brief)}
    notice = _notice(brief, _TEMPLATES[NOTIFIED], [whom], words, now)
    send(connection, brief, f"{ASKED}:{now:.3f}", notice, now)


def tell_sender(connection: Connection, brief: MatterBrief, step: str, told: Iterable[str], now: float) -> None:
    """Tell the sender that the mailing is still held, and who was reminded or now decides."""
    if not brief.sender or brief.silent:
        return
    people = ", ".join(sorted(told)) or "nobody, for nobody could decide"
    done = f"It was passed on to {people}." if step == ESCALATED else f"Reminded: {people}."
    words = _words(brief) | {"how": "", "done": done}
    notice = _notice(brief, "still-waiting", [brief.sender], words, now)
    notice = replace(notice, root=brief.message_id or brief.root)
    send(connection, brief, f"still:{now:.3f}", notice, now)


def tell_decided(connection: Connection, brief: MatterBrief | None, decided: MatterOutcome, now: float) -> None:
    """Tell those who were asked that the matter is decided, except the person who decided."""
    told = _told_before(brief) - set(decided.by[-1:]) if brief else frozenset()
    if brief is None or not told or brief.silent:
        return
    words = {
        "what": brief.what,
        "details": brief.details,
        "outcome": decided.outcome,
        "by": notices.by_all(decided.by),
        "then": f", and {decided.then}" if decided.then else "",
        "comment": f"The reason: {notices.plain(decided.comment)}" if decided.comment.strip() else "",
    }
    notice = _notice(brief, "decided", sorted(told), words, now)
    _send_few(connection, brief, f"{_DECIDED}:{now:.3f}", notice, now)


def _words(brief: MatterBrief) -> dict[str, str]:
    return {
        "what": brief.what,
        "details": "\n".join(filter(None, (brief.details, _agreed(brief)))),
        "sent": brief.sent,
        "reasons": brief.reasons,
        "asked": ", ".join(_missing(brief)) or "nobody's any more",
        "otherwise": brief.otherwise,
        "since": said(brief.since, brief.letterhead),
    }


def _missing(brief: MatterBrief) -> tuple[str, ...]:
    return Approvers(brief.letterhead.ruleset).missing(brief.question, brief.agreements.days(brief.letterhead.ruleset))


def _agreed(brief: MatterBrief) -> str:
    """Return lines with who has agreed, and who has agreed to an earlier state, which counts no longer."""
    lines = {"Agreed": ", ".join(brief.agreements.people)}
    return labelled(lines | {"Agreed to an earlier state": ", ".join(brief.agreements.earlier)})


def _returned(letterhead: Letterhead, since: datetime) -> str:
    span = letterhead.ruleset.held.expire
    if not span:
        return "it goes on waiting, and what is held of it is not sent."
    end = calendar_of(letterhead.ruleset).after(since, span.working_days, span.time)
    return f"what is held of it goes back to its sender on {said(end, letterhead)}, and is not sent."


def _how(brief: MatterBrief) -> str:
    verbs = f"gatekeeper {brief.what}"
    return f"With a shell on the gate: {verbs} show {brief.question.id}, then {verbs} approve or deny."


def _notice(brief: MatterBrief, kind: str, to: Sequence[str], words: dict[str, str], now: float) -> MatterNotice:
    return MatterNotice(
        kind=kind,
        to=tuple(to),
        number=brief.question.id,
        subject=brief.subject,
        root=brief.root,
        link=brief.letterhead.link(brief.question.id),
        words=words,
        stamp=f"{now:.0f}",
    )


def send(connection: Connection, brief: MatterBrief, name: str, notice: MatterNotice, now: float) -> None:
    """Queue a copy for each addressee; each name is queued once, whichever process tries."""
    content = notices.matter_notice(notice, brief.letterhead.organisation, moment_of(now))
    for each in notice.to:
        once = once_name(name, brief.question.id, each)
        jobs.enqueue(
            connection, jobs.NewJob(jobs.NOTICE, now, once=once, mailing_id=brief.key, recipient=each, content=content)
        )


def _send_few(connection: Connection, brief: MatterBrief, name: str, notice: MatterNotice, now: float) -> None:
    """Queue a copy for each addressee; of many letters about held mailings most come as one list."""
    if brief.key is not None:
        about = LetterSubject(brief.key, brief.question.id, brief.origin, brief.subject)
        notice = replace(notice, to=put_off(connection, about, notice.to, (NOTIFIED, _DECIDED), now))
    if notice.to:
        send(connection, brief, name, notice, now)


def _told_before(brief: MatterBrief) -> frozenset[str]:
    since = brief.since.timestamp() - 0.001
    texts = (event.text or "" for event in brief.events if event.act in _TEMPLATES and event.at >= since)
    return frozenset(each for text in texts for each in text.split(", ") if each)


# -- how things are said -----------------------------------------------------------------------------------------


def _files(files: Files) -> str:
    """Return which files are attached, and in how many messages they were looked for where that is not all."""
    if not files.attached:
        found = "none"
    else:
        named = [f"{each.name or each.type} ({_octets(each.size)})" for each in files.attached[:_FILES_NAMED]]
        left = len(files.attached) - len(named)
        found = ", ".join([*named, f"{left} more"] if left else named)
    return found if files.looked >= files.messages else f"{found} in {files.looked} of {files.messages:,} messages"


def _sender(mailing: MailingView, origin: HeldBatches) -> str:
    """Return the mailing's sender and others who send it, or who really does where that is only a name in From."""
    if mailing.sender in origin.parties or not mailing.sender:
        return _shown([mailing.sender, *sorted(origin.parties - {mailing.sender, ""})])
    known = [origin.owner] if origin.owner else sorted(origin.senders - {""})
    by = f"{known[0]} and {len(known) - 1} more" if len(known) > 1 else "".join(known) or "somebody unnamed"
    return f"{mailing.sender}, by From alone; sent by {by}"


def _shown(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _SENDERS_NAMED
    return ", ".join(names[:_SENDERS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _octets(number: int) -> str:
    return f"{number / 1_048_576:.1f} MB" if number >= 1_048_576 else f"{max(1, round(number / 1024))} kB"


def _is_ours(origin: HeldBatches, letterhead: Letterhead) -> bool:
    """Return True for mail that the gate itself has written: notices about notices would never end."""
    return origin.senders == {""} and (origin.message_id or "").endswith(f"@{letterhead.hostname}")
