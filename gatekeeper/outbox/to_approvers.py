"""Writes notices to those who decide: that a matter waits for them, and that it is decided.

A matter is a held mailing or a request. All mails about one matter are one thread; none is sent twice, whichever
process queues it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.notices import MatterNotice, labelled
from gatekeeper.outbox.held_content import excerpt
from gatekeeper.outbox.letter_lists import LetterSubject, put_off
from gatekeeper.outbox.letterhead import once_name, said
from gatekeeper.outbox.matter_brief import STILL_HELD, MatterBrief, MatterOutcome
from gatekeeper.outbox.who_decides import goes_back, whose_yes
from gatekeeper.policy.approvers import Approvers
from gatekeeper.store import Connection, jobs
from gatekeeper.store.events import ASKED, ESCALATED, NOTIFIED, REMINDED, Act

_TEMPLATES = {NOTIFIED: "waiting", REMINDED: "reminder", ESCALATED: "passed-on"}
_DECIDED = "decided"


@immutable
class Asked:
    """Who was asked by a step: everybody, and those among them whose letter has an excerpt of how many lines."""

    people: frozenset[str] = frozenset()
    readers: tuple[str, ...] = ()
    lines: int = 0
    reason: str = ""

    def as_details(self) -> dict[str, Any]:
        """Return what the event keeps of it, as JSON; {} where nobody was sent an excerpt and no reason was given."""
        kept = {"excerpt": {"lines": self.lines, "to": list(self.readers)}} if self.lines and self.readers else {}
        return kept | ({"reason": self.reason} if self.reason else {})


def ask(connection: Connection, brief: MatterBrief, step: str, now: float) -> Asked:
    """Notify those who decide that a matter waits, or remind them; returns who was notified.

    Args: `step` is told, reminded or passed on; `now` in seconds since 1970.
    """
    approvers = Approvers(brief.letterhead.ruleset)
    told = frozenset() if brief.silent else approvers.whom_to_notify(brief.question) - set(brief.agreements.people)
    if not told:
        return Asked()
    opens, quoted = step == NOTIFIED and not brief.opened, "" if step == REMINDED else _excerpt(brief)
    words = _words(brief) | {"how": _how(brief), "excerpt": quoted}
    words["done"] = _passed_on(brief, told) if step == ESCALATED else ""
    notice = replace(_notice(brief, _TEMPLATES[step], sorted(told), words, now), opens=opens)
    readers = (_send_few if step == NOTIFIED else send)(connection, brief, f"{step}:{now:.3f}", notice, now)
    return Asked(told, readers, len(quoted.splitlines()))


def ask_also(connection: Connection, brief: MatterBrief | None, whom: str, act: Act) -> Asked:
    """Notify one more person who must agree, since an approver asked for it, by an act that may say why."""
    if brief is None or brief.silent:
        return Asked(reason=act.reason)
    brief = replace(brief, question=replace(brief.question, also=brief.question.also | {whom}))
    quoted = _excerpt(brief)
    words = _words(brief) | {"how": _how(brief), "excerpt": quoted}
    if act.reason:
        words["details"] += "\n" + labelled({"Asked by": f'{act.by}, who says: "{act.reason}"'})
    notice = _notice(brief, _TEMPLATES[NOTIFIED], [whom], words, act.at)
    readers = send(connection, brief, f"{ASKED}:{act.at:.3f}", notice, act.at)
    return Asked(frozenset({whom}), readers, len(quoted.splitlines()), act.reason)


def _excerpt(brief: MatterBrief) -> str:
    """Return the first lines of the text, as many as the rules allow; "" where no message was read."""
    return excerpt(brief.content, brief.letterhead.ruleset.notices.excerpt) if brief.content else ""


def tell_senders(connection: Connection, brief: MatterBrief, step: str, told: Iterable[str], now: float) -> None:
    """Tell each sender that the mailing is still held, and who was reminded or now decides."""
    words = _words(brief) | {
        "otherwise": goes_back(brief.letterhead, brief.since, "you") if brief.key is not None else brief.otherwise,
        "how": "",
        "excerpt": "",
        "done": _passed_on(brief, told) if step == ESCALATED else _reminded(told),
    }
    for sender, message_id in brief.senders.items() if not brief.silent else ():
        notice = _notice(brief, "still-waiting", [sender], words, now)
        notice = replace(notice, root=message_id or brief.root)
        send(connection, brief, f"still:{now:.3f}", notice, now)


def _reminded(told: Iterable[str]) -> str:
    people = ", ".join(sorted(told))
    return f"Reminded: {people}." if people else "Nobody could be reminded, for nobody could decide."


def _passed_on(brief: MatterBrief, told: Iterable[str]) -> str:
    """Return to whom it was passed on, of those who are told."""
    new = Approvers(brief.letterhead.ruleset).of_terms(brief.question, brief.question.escalated)
    people = " or ".join(sorted(new & set(told)))
    return (
        f"It is passed on: {people} may decide now in their place; those who were asked still may."
        if people
        else "Nobody else could decide."
    )


def tell_decided(connection: Connection, brief: MatterBrief | None, decided: MatterOutcome, now: float) -> None:
    """Tell those who were asked that the matter is decided, except the person who decided."""
    told = _told_before(brief) - set(decided.by[-1:]) if brief else frozenset()
    if brief is None or not told or brief.silent:
        return
    words = {
        "what": brief.what,
        "details": "\n".join(line for line in brief.details.split("\n") if not line.startswith(STILL_HELD)),
        "outcome": decided.outcome,
        "by": notices.by_all(decided.by),
        "then": f", and {decided.then}" if decided.then else "",
        "sent": "" if decided.outcome == "approved" else brief.sent,
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
        "before": brief.before,
        "asked": whose_yes_of(brief),
        "otherwise": brief.otherwise,
        "since": said(brief.since, brief.letterhead),
    }


def whose_yes_of(brief: MatterBrief) -> str:
    """Return who must still agree to a matter, by name."""
    return whose_yes(brief.letterhead, brief.question, brief.agreements.days(brief.letterhead.ruleset))


def _agreed(brief: MatterBrief) -> str:
    """Return lines with who has agreed, and who has agreed to an earlier state, which counts no longer."""
    lines = {"Agreed": ", ".join(brief.agreements.people)}
    return labelled(lines | {"Agreed to an earlier state": ", ".join(brief.agreements.earlier)})


def _how(brief: MatterBrief) -> str:
    verbs, id = f"gatekeeper {brief.what}", brief.question.id
    whole = " (with --content, its whole text)" if brief.key is not None else ""
    return f"With a shell on the gate: {verbs} show {id}{whole}, then {verbs} approve, changes or deny."


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


def send(connection: Connection, brief: MatterBrief, name: str, notice: MatterNotice, now: float) -> tuple[str, ...]:
    """Queue a copy for each addressee, and return them; each name is queued once, whichever process tries."""
    content = notices.matter_notice(notice, brief.letterhead.organisation, moment_of(now))
    for each in notice.to:
        once = once_name(name, brief.question.id, each)
        jobs.enqueue(
            connection, jobs.NewJob(jobs.NOTICE, now, once=once, mailing_id=brief.key, recipient=each, content=content)
        )
    return notice.to


def _send_few(
    connection: Connection, brief: MatterBrief, name: str, notice: MatterNotice, now: float
) -> tuple[str, ...]:
    """Queue a copy for each addressee, and return them; of many letters about held mailings most come as one list."""
    if brief.key is not None:
        about = LetterSubject(brief.key, brief.question.id, brief.origin, brief.subject)
        notice = replace(notice, to=put_off(connection, about, notice.to, (NOTIFIED, _DECIDED), now))
    return send(connection, brief, name, notice, now) if notice.to else ()


def _told_before(brief: MatterBrief) -> frozenset[str]:
    since = brief.since.timestamp() - 0.001
    texts = (event.text or "" for event in brief.events if event.act in (*_TEMPLATES, ASKED) and event.at >= since)
    return frozenset(each for text in texts for each in text.split(", ") if each)
