"""Keeps letters to those who decide few: of many about one thing, and of very many, all but the first are one list.

Within an hour a reader gets one letter about mailings of one origin, one about mailings on one subject, and at most
twenty altogether; the others are put off to the end of that hour and come as one list, which says what has become of
each by then. Reminders are not put off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gatekeeper import notices
from gatekeeper.lib.marks import marked_line
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.message import subject_key
from gatekeeper.notices import MatterNotice, numbered_list
from gatekeeper.outbox.letterhead import Letterhead, once_name, reader_name, said
from gatekeeper.outbox.who_decides import goes_back_at
from gatekeeper.store import Connection, jobs, letters, views
from gatekeeper.store.jobs import Job
from gatekeeper.store.letters import ListedLetter, SingleLetter
from gatekeeper.store.time_bounds import LIST_SECONDS
from gatekeeper.store.views import MailingView

MOST_SINGLE = 20  # letters to one reader within the hour
_LISTED = "listed"
_LINES = 100  # mailings that a list names; of more it says how many
_SUBJECT = 80  # characters of a subject in a list


@dataclass(frozen=True)
class LetterSubject:
    """What a letter is about: a mailing, its origin and its subject."""

    mailing: int
    id: str  # "M-17"
    origin: str
    subject: str


def put_off(
    connection: Connection, about: LetterSubject, to: Sequence[str], steps: Collection[str], now: float
) -> tuple[str, ...]:
    """Queue for a list what is one letter too many; return the people who get their letter at once.

    Args: `steps` are the kinds of letters that are counted.
    """
    known = letters.single_letters(connection, steps, now - LIST_SECONDS)
    waiting = letters.listed_letters(connection, to)
    key, singly = subject_key(about.subject), list[str]()
    for each in to:
        listed = [letter for letter in waiting if letter.reader == each]
        if any(letter.mailing == about.mailing for letter in listed):
            continue  # the list will say what has become of it
        own = [letter for letter in known if letter.reader == reader_name(each)]
        begun = _hour(own, about, key)
        if begun is None:
            singly.append(each)
        else:
            _queue(connection, about, each, _due(listed, begun + LIST_SECONDS), now)
    return tuple(singly)


def _hour(own: Sequence[SingleLetter], about: LetterSubject, key: str) -> float | None:
    """Return when the hour began within which another letter is too many; None where it is not."""
    others = [letter for letter in own if letter.mailing != about.mailing]
    alike = [each.at for each in others if each.origin == about.origin or (key and subject_key(each.subject) == key)]
    if alike:
        return min(alike)
    return own[-MOST_SINGLE].at if len(own) >= MOST_SINGLE else None


def _due(listed: Sequence[ListedLetter], due: float) -> float:
    return min([due, *(letter.due for letter in listed)])


def _queue(connection: Connection, about: LetterSubject, reader: str, due: float, now: float) -> None:
    once = once_name(f"{_LISTED}:{now:.3f}", about.id, reader)
    job = jobs.NewJob(jobs.NOTICE, now, once=once, mailing_id=about.mailing, recipient=reader, due_at=max(now, due))
    jobs.enqueue(connection, job)


# -- written when it is due --------------------------------------------------------------------------------------


def compose(connection: Connection, letterhead: Letterhead, job: Job, now: float) -> bytes | None:
    """Write the list of a reader whose letters wait for it; None where another process has done so."""
    keys = letters.take_list(connection, job)
    if not keys or job.recipient is None:
        if keys is not None:
            jobs.finish(connection, job)  # nothing is known of its mailings any more
        return None
    content = _content(letterhead, job.recipient, views.view_mailings(connection, keys), now)
    letters.write_list(connection, job, content)
    return content


def _content(letterhead: Letterhead, reader: str, mailings: Sequence[MailingView], now: float) -> bytes:
    held = [each for each in mailings if each.state is MailingState.HELD]
    over = [each for each in mailings if each.state is not MailingState.HELD]
    waits = f"{notices.say_count(len(held), 'more mailing waits', 'more mailings wait')} for a decision"
    ended = f"{notices.say_count(len(over), 'more mailing', 'more mailings')} held and decided"
    words = {
        "headline": waits if held else ended,
        "waiting": _lines([_held(letterhead, each) for each in held]),
        "decided": _lines([f"{each.id}, {_subject(each)}: {each.state}" for each in over]),
        "how": "With a shell on the gate: gatekeeper mailing list --state held, then gatekeeper mailing show.",
    }
    notice = MatterNotice(
        kind="list",
        to=(reader,),
        number="",
        subject=None,
        root=f"list-{reader_name(reader)}.{now:.0f}@{letterhead.hostname}",
        opens=True,
        link=letterhead.link("").rstrip("/"),
        words=words,
    )
    return notices.matter_notice(notice, letterhead.organisation, moment_of(now))


def _held(letterhead: Letterhead, mailing: MailingView) -> str:
    reach = notices.describe_reach(letterhead.summary(mailing, mailing.reasons))
    end = goes_back_at(letterhead, moment_of(mailing.held_at or mailing.started_at))
    until = f"; if nobody decides, it goes back on {said(end, letterhead)}" if end else ""
    return f"{mailing.id}, {_subject(mailing)}, from {mailing.sender}: {reach}{until}"


def _subject(mailing: MailingView) -> str:
    return f'"{marked_line(mailing.subject, _SUBJECT)}"' if mailing.subject else "without a subject"


def _lines(texts: Sequence[str]) -> str:
    more = len(texts) - _LINES
    return numbered_list([*texts[:_LINES], *([f"and {more:,} more"] if more > 0 else [])]) if texts else ""
