"""Render delivery status notifications: multipart/report (RFC 6522) with a part for programs (RFC 3464)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime

from gatekeeper.model import Recipient
from gatekeeper.notices.compose import (
    SUBJECT_LENGTH,
    Fields,
    Heading,
    carried_in_7bit,
    envelope_fields,
    header_block,
    multipart,
    octets_part,
    organisation_words,
    text_part,
)
from gatekeeper.notices.texts import NO_SUBJECT, ascii_text, fill, fill_subject, numbered_list, plain, say_count
from gatekeeper.notices.values import DeliveryReport, Occasion, Organisation, RecipientReport

_FULL_RETURN_LIMIT = 65_536  # octets; a message up to this size is returned whole for RET=FULL
_HEADERS_LIMIT = 16_384  # octets of the sender's header fields that are returned
_RECIPIENTS_NAMED = 10  # in the text for people; the part for programs names all
_STATUS = re.compile(r"[45]\.\d{1,3}\.\d{1,3}")  # RFC 3463 2, of the classes that the gate's reports can have
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+")
_XTEXT_OCTET = re.compile(r"\+([0-9A-F]{2})")


def delivery_status(report: DeliveryReport, organisation: Organisation, now: datetime) -> bytes | None:
    """Render one report about all recipients that asked for one (RFC 3461 4.1); None where none did.

    Args: `now`, aware, becomes the Date field.
    Returns a message to `report.sender`: what happened in plain language, message/delivery-status, and the sender's own
    header fields (the whole message with RET=FULL, where the message is small and 7bit).
    Raises ValueError where the sender is null (nothing is ever sent to `<>`, RFC 5321 6.1) or a time has no zone.
    """
    reported = tuple(each for each in report.recipients if _wants_report(each.recipient, report.occasion))
    if not reported:
        return None
    parts = [
        text_part(_text(report, reported, organisation)),
        _status_part(report, reported, organisation),
        _returned(report),
    ]
    return header_block(_fields(report, organisation, now)) + multipart(
        "multipart/report; report-type=delivery-status", parts
    )


def _wants_report(recipient: Recipient, occasion: Occasion) -> bool:
    """Return True where NOTIFY asks for a report (RFC 3461 4.1). Without NOTIFY, failures and delays are reported."""
    notify = _parameter(recipient.parameters, "NOTIFY")
    if notify is None:
        return True
    return ("DELAY" if occasion is Occasion.DELAYED else "FAILURE") in notify.upper().split(",")


def _fields(report: DeliveryReport, organisation: Organisation, now: datetime) -> Fields:
    values = _words(report, organisation) | {"reasons": "", "recipients": "", "until": ""}
    subject = fill_subject(organisation.texts.of(report.occasion.value), values)
    heading = Heading("report", (report.sender,), subject, report.message_id)
    fields = envelope_fields(organisation, heading, now)
    return [*fields, ("Auto-Submitted", "auto-replied"), ("MIME-Version", "1.0")]  # RFC 3834 5


def _words(report: DeliveryReport, organisation: Organisation) -> dict[str, str]:
    """Return the words that are the same in the subject line and in the text."""
    return {
        "number": plain(report.number),
        "subject": _subject(report),
        "headline": "Not sent to everybody" if report.sent else "Not sent",
        "sent": report.sent,
        "by": f" by {plain(report.by)}" if report.by else "",
        **organisation_words(organisation, report.link),
    }


def _subject(report: DeliveryReport) -> str:
    return plain(report.subject or "", SUBJECT_LENGTH) or NO_SUBJECT


# -- for people --------------------------------------------------------------------------------------------------


def _text(report: DeliveryReport, reported: Sequence[RecipientReport], organisation: Organisation) -> str:
    values = {
        "reasons": numbered_list(report.reasons),
        "recipients": _recipient_lines(reported),
        "until": f" until {format_datetime(report.retry_until)}" if report.retry_until else "",
    }
    text = organisation.texts.of(report.occasion.value)
    return fill(text, values | _words(report, organisation))


def _recipient_lines(reported: Sequence[RecipientReport]) -> str:
    lines = [f"  {plain(each.recipient.address)}{_because(each)}" for each in reported[:_RECIPIENTS_NAMED]]
    left = len(reported) - len(lines)
    if left:
        lines.append(f"  and {say_count(left, 'other recipient', 'other recipients')}, listed in the attached report")
    return "\n".join(lines)


def _because(each: RecipientReport) -> str:
    return f": {plain(each.diagnostic, 200)}" if each.diagnostic else ""


# -- for programs ------------------------------------------------------------------------------------------------


def _status_part(report: DeliveryReport, reported: Iterable[RecipientReport], organisation: Organisation) -> bytes:
    blocks = [_message_fields(report, organisation), *(_recipient_fields(each, report) for each in reported)]
    return b"Content-Type: message/delivery-status\r\n\r\n" + b"\r\n".join(header_block(block) for block in blocks)


def _message_fields(report: DeliveryReport, organisation: Organisation) -> Fields:
    """Return the fields about the message (RFC 3464 2.2)."""
    envelope_id = _xtext(_parameter(report.parameters, "ENVID"))
    fields = [("Original-Envelope-Id", envelope_id)] if envelope_id else []
    return [
        *fields,
        ("Reporting-MTA", f"dns; {ascii_text(organisation.hostname)}"),
        ("Arrival-Date", _date(report.arrived)),
    ]


def _recipient_fields(each: RecipientReport, report: DeliveryReport) -> Fields:
    """Return the fields about one recipient (RFC 3464 2.3). Expiry is the action `failed`: there is no other for it."""
    original = _original_recipient(each.recipient)
    delayed = report.occasion is Occasion.DELAYED
    fields = [("Original-Recipient", original)] if original else []
    fields += [
        ("Final-Recipient", _typed_address(each.recipient.address)),
        ("Action", "delayed" if delayed else "failed"),
        ("Status", each.status if _STATUS.fullmatch(each.status) else "4.0.0" if delayed else "5.0.0"),
    ]
    if each.remote:
        fields.append(("Remote-MTA", f"dns; {ascii_text(each.remote, 255)}"))
    if each.diagnostic:
        fields.append(("Diagnostic-Code", f"smtp; {_not_encoded(ascii_text(each.diagnostic))}"))
    if delayed and report.retry_until:
        fields.append(("Will-Retry-Until", _date(report.retry_until)))
    return fields


def _date(when: datetime) -> str:
    if when.tzinfo is None:
        raise ValueError("a time without a zone: expected an aware datetime")
    return format_datetime(when)


def _not_encoded(text: str) -> str:
    """Return a text that no program reads as encoded words, which these fields do not have."""
    return text.replace("=?", "= ?")


def _typed_address(address: str) -> str:
    """Return `rfc822; a@b`, or `utf-8; ...` with escapes that a 7-bit report can carry (RFC 6533 3)."""
    line = _not_encoded(plain(address))
    if line.isascii():
        return f"rfc822; {line}"
    return "utf-8; " + "".join(c if c.isascii() and c != "\\" else f"\\x{{{ord(c):X}}}" for c in line)


def _original_recipient(recipient: Recipient) -> str:
    """Return ORCPT, `type;xtext` (RFC 3461 4.2), decoded; "" where it is missing or cannot be written as ASCII."""
    kind, _, encoded = (_parameter(recipient.parameters, "ORCPT") or "").partition(";")
    decoded = _xtext(encoded)
    return f"{kind}; {decoded}" if decoded and _ADDRESS_TYPE.fullmatch(kind) else ""


def _xtext(encoded: str | None) -> str:
    """Decode xtext (RFC 3461 4); "" where the result is not visible ASCII."""
    decoded = _XTEXT_OCTET.sub(lambda found: chr(int(found[1], 16)), encoded or "")
    return decoded if decoded == _not_encoded(ascii_text(decoded)) else ""


def _parameter(parameters: Iterable[str], keyword: str) -> str | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.upper() == keyword:
            return value
    return None


# -- what the sender wrote ---------------------------------------------------------------------------------------


def _returned(report: DeliveryReport) -> bytes:
    """Return the message or its header fields (RFC 3461 4.3).

    Only a 7bit message is returned whole: message/rfc822 may not be encoded (RFC 2046 5.2.1), and the report must pass
    servers without 8BITMIME.
    """
    full = (_parameter(report.parameters, "RET") or "").upper() == "FULL"
    if full and len(report.content) <= _FULL_RETURN_LIMIT and carried_in_7bit(report.content):
        return octets_part("message/rfc822", report.content)
    return octets_part("text/rfc822-headers", _header_of(report.content))


def _header_of(content: bytes) -> bytes:
    """Return the header section, in whole lines and at most HEADERS_LIMIT octets."""
    if content.startswith(b"\r\n"):
        return b""
    start = content[: _HEADERS_LIMIT + 4]
    header, found, _ = start.partition(b"\r\n\r\n")
    if not found and len(content) > len(start):
        header = start.rpartition(b"\r\n")[0]
    return header + b"\r\n"
