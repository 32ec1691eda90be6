"""Render notices: to a sender, threaded with the sender's message, and about matters, each in a thread of its own.

A notice is plain text of one screen. Opening its link changes nothing: the link leads to a page that only shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gatekeeper.notices.compose import (
    SUBJECT_LENGTH,
    Fields,
    Heading,
    envelope_fields,
    header_block,
    organisation_words,
    text_part,
)
from gatekeeper.notices.texts import NO_SUBJECT, by_all, fill, fill_subject, numbered_list, plain, say_count
from gatekeeper.notices.values import ApprovalNote, MailingSummary, MatterNotice, Organisation

_AGENCIES_NAMED = 5
_NOBODY = ApprovalNote(())
_AUTOMATIC: Fields = [("Auto-Submitted", "auto-generated"), ("MIME-Version", "1.0")]  # RFC 3834 5


def held_notice(mailing: MailingSummary, organisation: Organisation, now: datetime) -> bytes:
    """Tell the sender that the mailing waits for a decision, of whom and until when, and who has it already (M3, M5).

    Args: `now`, aware, becomes the Date field. Returns a message to `mailing.sender`. Raises ValueError where that is
    no address or `now` has no zone.
    """
    begun = f"{mailing.sent} To the others it has not been sent yet."
    words = {
        "sent": begun if mailing.sent else "Your message has not been sent yet.",
        "decides": mailing.decides or "an approver",
        "otherwise": mailing.otherwise,
    }
    return _notice("held", mailing, organisation, now, words)


def released_notice(
    mailing: MailingSummary, organisation: Organisation, now: datetime, approval: ApprovalNote = _NOBODY
) -> bytes:
    """Tell the sender that the mailing, or a part of it, was approved; policy M5.

    It is not said to be sent: the next hop may be down, and take it later. Otherwise as `held_notice`.
    """
    in_part, comment = approval.in_part, approval.comment
    held = f", for {say_count(approval.held, 'recipient', 'recipients')}," if approval.held else ""
    rest = f"What came after they had looked at it{held} is still held, until somebody decides about it."
    to = say_count(approval.recipients, "recipient", "recipients") if approval.recipients else "its recipients"
    words = {
        "headline": "A part is approved" if in_part else "Approved",
        "going": to,
        "what": "A part of your message" if in_part else "Your message",
        "rest": rest if in_part else "",
        "by": by_all(approval.by),
        "comment": f"They add: {plain(comment)}" if comment.strip() else "",
    }
    return _notice("released", mailing, organisation, now, words)


def warning_notice(mailing: MailingSummary, organisation: Organisation, now: datetime) -> bytes:
    """Tell the sender that the mailing was sent, and which rules it does not follow. Otherwise as `held_notice`."""
    return _notice("warning", mailing, organisation, now, {})


def matter_notice(notice: MatterNotice, organisation: Organisation, now: datetime) -> bytes:
    """Tell people about a mailing or a request that people decide (policy M5): that it waits, was decided, or changed.

    Args: `now`, aware, becomes the Date field. Raises ValueError for what is no address, KeyError for missing words.
    """
    subject = plain(notice.subject or "", SUBJECT_LENGTH) or NO_SUBJECT
    values = {"number": plain(notice.number), "subject": subject, **notice.words}
    values |= organisation_words(organisation, notice.link)
    text = organisation.texts.of(notice.kind)
    kind = f"{notice.kind}-{notice.stamp}" if notice.stamp else notice.kind
    own, thread = (notice.root, None) if notice.opens else ("", notice.root)
    fields = envelope_fields(organisation, Heading(kind, notice.to, fill_subject(text, values), thread, own), now)
    return header_block([*fields, *_AUTOMATIC]) + text_part(fill(text, values))


def _notice(
    kind: str, mailing: MailingSummary, organisation: Organisation, now: datetime, words: Mapping[str, str]
) -> bytes:
    values = {"by": "", "comment": "", **_summary_words(mailing, organisation), **words}
    text = organisation.texts.of(kind)
    heading = Heading(kind, (mailing.sender,), fill_subject(text, values), mailing.message_id)
    fields = envelope_fields(organisation, heading, now)
    return header_block([*fields, *_AUTOMATIC]) + text_part(fill(text, values))


def _summary_words(mailing: MailingSummary, organisation: Organisation) -> dict[str, str]:
    """Return the words that templates use for a mailing, each one line except `reasons`."""
    return {
        "number": plain(mailing.number),
        "subject": plain(mailing.subject or "", SUBJECT_LENGTH) or NO_SUBJECT,
        "reach": describe_reach(mailing),
        "reasons": numbered_list([_reason_text(reason.text, reason.cite) for reason in mailing.reasons]),
        **organisation_words(organisation, mailing.link),
    }


def _reason_text(text: str, cite: str) -> str:
    """Return a reason with the clause that the reason comes from."""
    return f"{text} ({cite})" if cite else text


def describe_reach(mailing: MailingSummary) -> str:
    """Return whom a mailing reaches, in words: users, their agencies with the largest first, people outside."""
    inside = say_count(mailing.users, "user", "users")
    if mailing.agencies:
        inside += f" in {say_count(len(mailing.agencies), 'agency', 'agencies')} ({_shares(mailing)})"
    if not mailing.external:
        return inside
    return f"{inside}, and {say_count(mailing.external, 'person', 'people')} outside"


def _shares(mailing: MailingSummary) -> str:
    largest = sorted(mailing.agencies.items(), key=lambda item: (-item[1].users, item[0]))
    named = [f"{plain(share.name) or plain(agency)} {share.users:,}" for agency, share in largest[:_AGENCIES_NAMED]]
    left = len(largest) - len(named)
    return ", ".join([*named, f"{left:,} more"] if left else named)
