"""Writes notices and delivery reports to the senders of mailings, each at most once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Facts, Recipient, Source, Transaction
from gatekeeper.notices import (
    MailingSummary,
    Organisation,
)
from gatekeeper.store import Connection, jobs
from gatekeeper.store.views import (
    MailingView,
    pending_recipients,
    view_mailing,
)

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

    once: str  # the name by which it is queued at most once
    key: int  # of the mailing in the database
    summary: MailingSummary
    render: Render


def queue_notice(connection: Connection, notice: SenderNotice, organisation: Organisation, now: datetime) -> bool:
    """Queue a notice that is sent at most once by its name; False where it was queued before.

    Each batch of a mailing asks for it, and whom the mailing has reached is counted for the first of them alone.
    """
    if jobs.was_queued(connection, notice.once):
        return False
    sent = sent_so_far(connection, view_mailing(connection, notice.key), now.timestamp())
    summary = replace(notice.summary, sent=sent)
    job = jobs.NewJob(
        jobs.NOTICE,
        now.timestamp(),
        once=notice.once,
        mailing_id=notice.key,
        recipient=summary.sender,
        content=notice.render(summary, organisation, now),
    )
    return jobs.enqueue(connection, job)


def sent_so_far(connection: Connection, mailing: MailingView, now: float, what: str = "your message") -> str:
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
