"""Writes delivery status notifications (RFC 3464): of mailings that end unsent, and of what the next hop refuses."""

from __future__ import annotations

from dataclasses import replace

from gatekeeper import notices
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import RecipientState
from gatekeeper.model import Recipient
from gatekeeper.notices import DeliveryReport, Occasion, RecipientReport
from gatekeeper.outbox.letterhead import Letterhead, once_name
from gatekeeper.outbox.to_senders import OF_ONE, OF_SEVERAL, by_owner, sent_so_far
from gatekeeper.store import Arrival, Connection, jobs
from gatekeeper.store.batch_views import RecipientView, StoredBatch, find_batch, header_of
from gatekeeper.store.views import MailingView, mailing_of_batch


@immutable
class EndOfMailing:
    """The end of a mailing of which batches are not sent any more: which, on what occasion, why, and by whom."""

    mailing: MailingView
    batches: list[StoredBatch]
    occasion: Occasion
    reasons: tuple[str, ...]
    by: str = ""
    common: bool = False  # others have sent mail of it, too

    def of_each_sender(self) -> list[EndOfMailing]:
        """Return the end of each sender's batches: each sender gets a report about their own."""
        return [replace(self, batches=batches) for batches in by_owner(self.batches)]

    @property
    def addressee(self) -> str | None:
        """Who gets the DSN about one sender's batches; None where nobody can be told.

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
    """Queue the DSN that ends a mailing (RFC 3464), one for each sender; return True where anybody is told."""
    each = end.of_each_sender()
    what = OF_SEVERAL if len(each) > 1 or end.common else OF_ONE
    sent = sent_so_far(connection, end.mailing, now, what)
    told = [_queue_end(connection, letterhead, one, sent, now) for one in each]  # all of them: `any` would stop early
    return any(told)


def _queue_end(connection: Connection, letterhead: Letterhead, end: EndOfMailing, sent: str, now: float) -> bool:
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
        sent=sent,
        by=end.by if end.by not in (recipient, *first.owners) else "",
    )
    once = once_name(end.occasion, mailing.id, recipient)
    job = jobs.NewJob(jobs.DSN, now, once=once, mailing_id=mailing.key, recipient=recipient)
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
