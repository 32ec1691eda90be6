"""Writes notices and delivery reports to the senders of mailings, each at most once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Facts, Recipient, Source, Transaction
from gatekeeper.notices import MailingSummary, Organisation
from gatekeeper.outbox.letterhead import Letterhead, once_name
from gatekeeper.outbox.who_decides import goes_back, question_of_mailing, whose_yes
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, jobs
from gatekeeper.store.across import is_common
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.reminders import held_batches, held_since
from gatekeeper.store.views import MailingView, pending_recipients, timeline, view_mailing

OF_ONE, OF_SEVERAL = "your message", "a message of this mailing"  # what people have already, as a sender is told
Render = Callable[[MailingSummary, Organisation, datetime], bytes]


def may_be_told(transaction: Transaction, facts: Facts, source: Source, is_inside: bool) -> bool:
    """Return True where the sender may get notices: an inside person, no list, no machine, no null sender.

    Nobody gets any about mail that From alone names them for. A sender who asked for NOTIFY=NEVER everywhere wants no
    mail about this message (RFC 3461 4.1).
    """
    wanted = any(not never_notify(recipient) for recipient in transaction.recipients)
    by_person = bool(transaction.sender) and facts.list_id is None and not facts.automatic
    return is_inside and by_person and wanted and "@" in source.owner


def never_notify(recipient: Recipient) -> bool:
    """Return True for NOTIFY=NEVER."""
    return any(parameter.upper() == "NOTIFY=NEVER" for parameter in recipient.parameters)


@immutable
class SenderNotice:
    """A notice to the sender of a mailing, which is rendered where it was not queued before."""

    once: str  # the name by which each reader gets it at most once
    key: int  # of the mailing in the database
    summary: MailingSummary
    render: Render


def queue_notice(connection: Connection, letterhead: Letterhead, notice: SenderNotice, now: datetime) -> bool:
    """Queue a notice that is sent at most once a reader by its name; False where it was queued before.

    Each batch of a mailing asks for it; whom the mailing has reached, and who decides, is read for the first alone.
    Ordinary mail has no number: its notices are named by its key, and are known by that when it has got a number.
    """
    ids = filter(None, (notice.summary.number, str(notice.key)))
    names = [once_name(notice.once, id, notice.summary.sender) for id in ids]
    if jobs.queued_of(connection, names):
        return False
    summary = _as_it_is(connection, letterhead, notice, now)
    job = jobs.NewJob(
        jobs.NOTICE,
        now.timestamp(),
        once=names[0],
        mailing_id=notice.key,
        recipient=summary.sender,
        content=notice.render(summary, letterhead.organisation, now),
    )
    return jobs.enqueue(connection, job)


def queue_held_notice(connection: Connection, letterhead: Letterhead, notice: SenderNotice, now: datetime) -> bool:
    """Queue the notice that a mailing is held, as `queue_notice` does; a reader gets one each time that it is held."""
    since = held_since(connection, notice.key)
    return queue_notice(connection, letterhead, replace(notice, once=f"{notice.once}:{since:.0f}"), now)


def _as_it_is(connection: Connection, letterhead: Letterhead, notice: SenderNotice, now: datetime) -> MailingSummary:
    """Return the summary with who has the mailing already, and of a held one who decides and what happens if nobody
    does.
    """
    mailing, origin = view_mailing(connection, notice.key), held_batches(connection, notice.key)
    shared = (origin is not None and len(origin.parties) > 1) or is_common(connection, notice.key)
    what = OF_SEVERAL if shared else OF_ONE
    summary = replace(notice.summary, sent=sent_so_far(connection, mailing, now.timestamp(), what))
    if mailing.state is not MailingState.HELD:
        return summary
    events, today = timeline(connection, notice.key), calendar_of(letterhead.ruleset).day(now)
    question = question_of_mailing(letterhead, mailing, origin, events, today)
    since = moment_of(mailing.held_at or mailing.started_at)
    return replace(
        summary,
        decides=whose_yes(letterhead, question, {}),
        otherwise=goes_back(letterhead, since, "you"),
    )


def sent_so_far(connection: Connection, mailing: MailingView, now: float, what: str = OF_ONE) -> str:
    """Return sentences with how many people have the mailing already, and how many are about to; "" where nobody is.

    They were reached without a stop, or by what was approved before.
    """
    way = pending_recipients(connection, mailing.key, now)
    before = (mailing.reached_before or 0) - way.going - way.stopped - mailing.refused
    have = max(mailing.sent, before)
    sentences = [f"{notices.say_count(have, 'person has', 'people have')} {what} already."] if have > 0 else []
    if way.going:
        to = notices.say_count(way.going, "recipient", "recipients")
        sentences.append(f"{what[0].upper()}{what[1:]} is on its way to {to}.")
    return " ".join(sentences)


B = TypeVar("B", bound=BatchView)


def by_sender(kept: Iterable[B]) -> list[list[B]]:
    """Return the batches of which letters may tell, each sender's apart, in the order of arrival."""
    return by_owner(batch for batch in kept if batch.notify and batch.owner)


def by_owner(kept: Iterable[B]) -> list[list[B]]:
    """Return the batches, each owner's apart, in the order of arrival."""
    found: dict[str, list[B]] = {}
    for batch in kept:
        found.setdefault(batch.owner, []).append(batch)
    return list(found.values())
