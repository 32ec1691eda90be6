"""Recognise delivery reports, receipts and automatic replies by their structure, and find which messages they answer.

The test is strict because few rules apply to such mail: each must have the parts and fields that its RFC asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gatekeeper.message.headers import Header
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.transfer_encoding import decoded

_EXAMINED = 65_536  # octets of a part that are searched for its fields
_LONGEST_KEYWORD = 1_000  # octets of an Auto-Submitted field, comments included
_MOST_ANSWERED = 10  # Message-IDs; in References the answered message is named last
# report-type -> types of the report's second part, and the fields which that part must have
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
_WORDS = ("multipart/alternative", "multipart/related")
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_ANSWERED = re.compile(
    rb"^(?:original-)?message-id:[ \t]*+(?:\r?\n[ \t]++)?<([^<>\s]{1,998})>", re.IGNORECASE | re.MULTILINE
)
_IDENTIFIER = re.compile(rb"<([^<>\s]{1,998})>")
_END_OF_HEADER = re.compile(rb"\n\r?\n")


def is_automatic(content: bytes, structure: Structure, header: Header, visible: int) -> bool:
    """Return True for a DSN, an MDN or an auto-reply.

    Args: `visible` counts the addresses in To and Cc, at most one.
    """
    return visible <= 1 and (_is_report(content, structure.root) or _is_reply(header))


def answered(content: bytes, structure: Structure, header: Header) -> tuple[str, ...]:
    """Return the Message-IDs that an automatic message answers, without brackets, the likeliest last.

    The ids stand in References and In-Reply-To (RFC 5322 3.6.4), in a receipt's Original-Message-ID (RFC 8098 3.2.5),
    and in the header that a report returns (RFC 6522 3).
    """
    found = [each for name in ("references", "in-reply-to") for each in _identifiers(header.all(name))]
    found += _reported(content, structure.root.children[1:])
    return tuple(dict.fromkeys(each.decode("utf-8", "replace") for each in found[-_MOST_ANSWERED:]))


def _identifiers(values: Sequence[bytes]) -> Iterator[bytes]:
    for value in values:
        yield from _IDENTIFIER.findall(value)[-_MOST_ANSWERED:]


def _reported(content: bytes, parts: list[Part]) -> Iterator[bytes]:
    """Yield the Message-IDs in the report's machine-readable part and returned message; only header fields count."""
    for part in parts[:2]:
        fields = _beginning(content, part)
        end = _END_OF_HEADER.search(fields) if part.type in _RETURNED else None
        yield from _ANSWERED.findall(fields[: end.start()] if end else fields)[:_MOST_ANSWERED]


# -- reports -----------------------------------------------------------------------------------------------------


def _is_report(content: bytes, root: Part) -> bool:
    """Return True for a report of RFC 6522 3: a text, a machine-readable part, and at most the returned message."""
    report = _REPORTS.get(root.content_type.get("report-type").lower())
    if root.type != "multipart/report" or report is None or len(root.children) not in (2, 3):
        return False
    types, fields = report
    words, machine, *returned = root.children
    return (
        (words.type.startswith("text/") or words.type in _WORDS)
        and machine.type in types
        and _has_fields(content, machine, fields)
        and all(part.type in _RETURNED for part in returned)
    )


def _has_fields(content: bytes, part: Part, fields: tuple[bytes, ...]) -> bool:
    lines = b"\n" + _beginning(content, part).lower()
    return all(b"\n" + field in lines for field in fields)


def _beginning(content: bytes, part: Part) -> bytes:
    """Return the first octets of a part, decoded: some servers encode the part, although RFC 3464 2.1 forbids it."""
    return decoded(content[part.start : min(part.end, part.start + _EXAMINED)], part.encoding)


# -- replies -----------------------------------------------------------------------------------------------------


def _is_reply(header: Header) -> bool:
    """Return True for an automatic reply: Auto-Submitted says so, and a message is named as answered (RFC 3834 5).

    In-Reply-To or References names it. Exchange marks its replies `auto-generated`, and adds X-Auto-Response-Suppress
    against automatic answers to them.
    """
    submitted = [_keyword(value) for value in header.all("auto-submitted")]
    if submitted == [b"auto-generated"]:
        return bool(header.first("x-auto-response-suppress"))
    return submitted == [b"auto-replied"] and bool(header.first("in-reply-to") or header.first("references"))


def _keyword(value: bytes) -> bytes:
    """Return an Auto-Submitted field's keyword, without comments (RFC 5322 3.2.2) and parameters."""
    kept, depth, escaped = bytearray(), 0, False
    for octet in value[:_LONGEST_KEYWORD]:
        if depth and escaped:
            escaped = False
        elif depth and octet == ord("\\"):
            escaped = True
        elif octet == ord("("):
            depth += 1
        elif depth:
            depth -= octet == ord(")")
        else:
            kept.append(octet)
    return bytes(kept).partition(b";")[0].strip().lower()
