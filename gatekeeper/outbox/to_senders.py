"""Writes notices and delivery reports to the senders of mailings, each at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import RecipientState
from gatekeeper.model import Facts, Reason, Recipient, Source, Transaction
from gatekeeper.notices import (
    BUILT_IN,
    AgencyShare,
    DeliveryReport,
    MailingSummary,
    NoticeTemplates,
    Occasion,
    Organisation,
    RecipientReport,
)
from gatekeeper.rules import Ruleset
from gatekeeper.store import Arrival, Connection, jobs
from gatekeeper.store.views import (
    BatchView,
    MailingView,
    RecipientView,
    find_batch,
    header_of,
    mailing_of_batch,
    pending_recipients,
    view_mailing,
)

Render = Callable[[MailingSummary, Organisation, datetime], bytes]


@immutable
class Letterhead:
    """In whose name the gate writes, and where its links lead."""

    ruleset: Ruleset
    hostname: str
    public_url: str = ""
    texts: NoticeTemplates = BUILT_IN

    @property
    def organisation(self) -> Organisation:
        return Organisation(self.ruleset.title, self.ruleset.contact, self.hostname, self.texts)

    def link(self, id: str) -> str:
        """Return the address of a mailing (M-17) or request (R-4); "" without --public-url."""
        folder = "requests" if id.startswith("R-") else "mailings"
        return f"{self.public_url.rstrip('/')}/{folder}/{id}" if self.public_url else ""

    def shares(self, agencies: Mapping[str, int]) -> dict[str, AgencyShare]:
        """Return the users by agency, with the names of the agencies."""
        known = self.ruleset.agencies
        return {
            agency: AgencyShare(known[agency].name if agency in known else agency, users)
            for agency, users in agencies.items()
        }

    def summary(
        self, mailing: MailingView, reasons: tuple[Reason, ...], batch: BatchView | None = None
    ) -> MailingSummary:
        """Return what a notice says about the mailing, and why. Args: `batch` that it answers, to whose owner it
        goes.
        """
        counts, shares = mailing.counts, self.shares(mailing.counts.agencies)
        return MailingSummary(
            mailing.id,
            batch.owner if batch else mailing.sender,
            mailing.subject,
            counts.users,
            counts.external,
            shares,
            reasons,
            batch.message_id if batch else None,
            self.link(mailing.id),
        )


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


# -- DSNs --------------------------------------------------------------------------------------------------------


@immutable
class EndOfMailing:
    """The end of a mailing of which batches are not sent any more: which, on what occasion, and why."""

    mailing: MailingView
    batches: list[BatchView]
    occasion: Occasion
    reasons: tuple[str, ...]

    @property
    def addressee(self) -> str | None:
        """Who gets the one DSN; None where nobody can be told.

        This is the envelope sender; where VERP gave the batches many, the inside mailbox that owns them.
        """
        senders = {batch.sender for batch in self.batches} - {""}
        if len(senders) == 1:
            return senders.pop()
        told = (batch.owner for batch in self.batches if batch.notify and batch.owner)
        return next(told, None) if senders else None

    @property
    def waiting(self) -> list[RecipientView]:
        """The recipients that still wait."""
        return [each for batch in self.batches for each in batch.recipients if each.state is RecipientState.WAITING]


def queue_report(connection: Connection, letterhead: Letterhead, end: EndOfMailing, now: float) -> bool:
    """Queue the one DSN that ends a mailing (RFC 3464), for all its recipients that still wait."""
    mailing, recipient = end.mailing, end.addressee
    if recipient is None:
        return False
    first = end.batches[0]
    report = DeliveryReport(
        occasion=end.occasion,
        number=mailing.id,
        sender=recipient,
        arrived=moment_of(first.received_at),
        recipients=tuple(RecipientReport(view.recipient, "5.7.1") for view in end.waiting),
        content=header_of(connection, first.body),
        parameters=first.parameters,
        subject=mailing.subject,
        reasons=end.reasons,
        message_id=first.message_id,
        link=letterhead.link(mailing.id),
        sent=sent_so_far(connection, mailing, now),
    )
    job = jobs.NewJob(jobs.DSN, now, once=f"{end.occasion}:{mailing.id}", mailing_id=mailing.key, recipient=recipient)
    return _queue(connection, letterhead, report, job)


def _queue(connection: Connection, letterhead: Letterhead, report: DeliveryReport, job: jobs.NewJob) -> bool:
    """Queue a job with the report as its content; return False where nobody wants the report, or has it already."""
    content = notices.delivery_status(report, letterhead.organisation, moment_of(job.queued_at))
    return content is not None and jobs.enqueue(connection, replace(job, content=content))


@immutable
class Told:
    """The answer of the next hop for one recipient of a released batch."""

    position: int
    recipient: Recipient
    result: str  # a word of delivery.Result
    reply: str


@immutable
class FailedDelivery:
    """Recipients of a released batch that the next hop refused, or does not take for now."""

    batch_id: int
    occasion: Occasion
    told: list[Told]
    once: str  # the name by which it is reported at most once
    retry_until: float  # seconds since 1970


def queue_delivery_report(connection: Connection, letterhead: Letterhead, failed: FailedDelivery, now: float) -> bool:
    """Queue a DSN about recipients that the next hop has not taken (RFC 3461 5.2)."""
    batch = find_batch(connection, failed.batch_id)
    mailing = mailing_of_batch(connection, failed.batch_id)
    if not batch.sender:
        return False  # nothing is sent to the null sender (RFC 5321 6.1)
    is_delayed = failed.occasion is Occasion.DELAYED
    status = "4.4.7" if is_delayed else "5.0.0"
    report = DeliveryReport(
        occasion=failed.occasion,
        number=mailing.id,
        sender=batch.sender,
        arrived=moment_of(batch.received_at),
        recipients=tuple(
            RecipientReport(each.recipient, _status(each.reply) or status, each.reply) for each in failed.told
        ),
        content=header_of(connection, batch.body),
        parameters=batch.parameters,
        subject=mailing.subject,
        message_id=batch.message_id,
        link=letterhead.link(mailing.id),
        retry_until=moment_of(failed.retry_until) if is_delayed else None,
    )
    job = jobs.NewJob(jobs.DSN, now, once=failed.once, mailing_id=mailing.key, recipient=batch.sender)
    return _queue(connection, letterhead, report, job)


def queue_refused_report(connection: Connection, letterhead: Letterhead, arrival: Arrival, number: str) -> bool:
    """Queue the DSN about recipients that the next hop refused after the client was told that they are taken.

    A resend of the same message queues none. Args: `number` of the mailing, else the transaction's id in the log.
    """
    transaction, facts = arrival.transaction, arrival.facts
    if not transaction.sender or not transaction.refused:
        return False  # nothing is sent to the null sender (RFC 5321 6.1)
    end = transaction.content.find(b"\r\n\r\n")
    report = DeliveryReport(
        occasion=Occasion.UNDELIVERABLE,
        number=number,
        sender=transaction.sender,
        arrived=arrival.now,
        recipients=tuple(
            RecipientReport(each.recipient, _status(each.reply) or "5.0.0", each.reply) for each in transaction.refused
        ),
        content=transaction.content if end < 0 else transaction.content[: end + 2],
        parameters=transaction.parameters,
        subject=facts.subject,
        message_id=facts.message_id,
    )
    now, once = arrival.now.timestamp(), f"refused:{arrival.identity()}"
    return _queue(connection, letterhead, report, jobs.NewJob(jobs.DSN, now, once=once, recipient=transaction.sender))


def _status(reply: str) -> str | None:
    """Return the enhanced status code in the text of a reply (RFC 3463)."""
    words = reply.split(maxsplit=2)
    return words[1] if len(words) > 1 and words[1].count(".") == 2 and words[1][0] in "245" else None
