"""Delivery reports, receipts and automatic replies, told by structure: a null sender that is one of them passes.

Strict on purpose, as the gate lets these by: each must have the parts and fields that its RFC asks for.
"""

from __future__ import annotations

from .headers import Header
from .structure import Part, Structure

_EXAMINED = 65_536  # octets of a report that are looked at for its fields
# report-type -> types of its second part, and fields that it must have
_REPORTS = {
    "delivery-status": (  # RFC 3464 2.3
        ("message/delivery-status", "message/global-delivery-status"),
        (b"reporting-mta:", b"final-recipient:", b"action:", b"status:"),
    ),
    "disposition-notification": (  # RFC 8098 3.1
        ("message/disposition-notification", "message/global-disposition-notification"),
        (b"final-recipient:", b"disposition:"),
    ),
}
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")


def is_automatic(content: bytes, structure: Structure, header: Header, visible: int) -> bool:
    """True for a DSN, an MDN or an auto-reply to at most one visible address."""
    return visible <= 1 and (_is_report(content, structure.root) or _is_reply(header))


def _is_report(content: bytes, root: Part) -> bool:
    """RFC 6522 3: a text for people, a report for machines, and at most the returned message."""
    report = _REPORTS.get(root.content_type.get("report-type").lower())
    if root.type != "multipart/report" or report is None or len(root.children) not in (2, 3):
        return False
    types, fields = report
    words, machine, *returned = root.children
    readable = words.type.startswith("text/") or words.type == "multipart/alternative"
    return (
        readable
        and machine.type in types
        and _has_fields(content, machine, fields)
        and all(part.type in _RETURNED for part in returned)
    )


def _has_fields(content: bytes, part: Part, fields: tuple[bytes, ...]) -> bool:
    lines = b"\n" + content[part.start : min(part.end, part.start + _EXAMINED)].lower()
    return all(b"\n" + field in lines for field in fields)


def _is_reply(header: Header) -> bool:
    """RFC 3834 5: Auto-Submitted says that it answers, In-Reply-To or References says what."""
    submitted = [value.partition(b";")[0].strip().lower() for value in header.all("auto-submitted")]
    return submitted == [b"auto-replied"] and bool(header.first("in-reply-to") or header.first("references"))
