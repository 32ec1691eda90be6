"""Put a message together: header fields that no value can break out of (RFC 5322 2.2), and MIME parts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from gatekeeper.lib.immutable import immutable
from gatekeeper.notices.texts import plain
from gatekeeper.notices.values import Organisation

_LONGEST_LINE = 998  # octets, without CRLF (RFC 5322 2.1.1)
SUBJECT_LENGTH = 200  # characters of another mail's subject within the gate's own subject
_FOLD_AT = 76
_SEVEN_BIT = SMTP.clone(cte_type="7bit")  # a report must pass servers without 8BITMIME
_MESSAGE_ID = re.compile(r"[!-;=?-~]{3,900}")  # between the angle brackets: visible ASCII without < and >
_BARE_BREAK = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")

Fields = list[tuple[str, str]]


def header_block(fields: Fields) -> bytes:
    """Render header fields, folded between words, with CRLF.

    Each value is one line. Values beyond ASCII become encoded words (RFC 2047), except addresses, which stay as they
    are (RFC 6532: only a SMTPUTF8 transaction can carry a message to such an address).
    """
    return b"".join(f"{name}: {_value(name, value)}\r\n".encode() for name, value in fields)


def _value(name: str, value: str) -> str:
    line = value.replace("\r", " ").replace("\n", " ")
    if name == "To":
        return _fold(line, _FOLD_AT - len("To: "))
    if line.isascii() and "=?" not in line:
        return _fold(line, _FOLD_AT - len(name) - 2)
    return Header(line, "utf-8", header_name=name).encode(linesep="\r\n")


def _fold(line: str, room: int) -> str:
    """Fold a line between words only, so that no Message-ID or address is cut. Args: `room` of the first line."""
    lines, current = [], ""
    for word in line.split(" "):
        if current and len(current) + 1 + len(word) > room:
            lines.append(current)
            current, room = word, _FOLD_AT - 1
        else:
            current = f"{current} {word}" if current else word
    return "\r\n ".join([*lines, current])


@immutable
class Heading:
    """What the header of one of the gate's mails says, besides its date and the organisation."""

    kind: str  # the name of the template, part of the Message-ID
    to: tuple[str, ...]  # addresses
    subject: str
    answers: str | None  # Message-ID of the mail to thread with, without angle brackets
    own_id: str = ""  # Message-ID of this mail, without angle brackets; "" derives one from what the heading says


def envelope_fields(organisation: Organisation, heading: Heading, now: datetime) -> Fields:
    """Return the header fields that all mails of the gate have, threaded with the mail that this one is about.

    A derived Message-ID depends on nothing but the arguments, so that a mail rendered again after a crash is the same
    mail. Raises ValueError where an address is not valid, or `now` has no time zone.
    """
    _check_addresses(heading.to)
    if now.tzinfo is None:
        raise ValueError("a time without a zone: expected an aware datetime")
    fields = [
        ("From", f"Gatekeeper <{organisation.address}>"),
        ("To", ", ".join(f"<{each}>" for each in heading.to)),
        ("Subject", plain(heading.subject, SUBJECT_LENGTH + 60)),
        ("Date", format_datetime(now)),
        ("Message-ID", f"<{heading.own_id or _derived_id(organisation, heading, now)}>"),
    ]
    if heading.answers and _MESSAGE_ID.fullmatch(heading.answers):
        fields += [("In-Reply-To", f"<{heading.answers}>"), ("References", f"<{heading.answers}>")]
    return fields


def _check_addresses(addresses: Sequence[str]) -> None:
    for each in addresses or [""]:
        if not each or plain(each) != each:
            raise ValueError(f"{each!r} is no address to write to: expected a mailbox without control characters")


def _derived_id(organisation: Organisation, heading: Heading, now: datetime) -> str:
    said = "\0".join((heading.kind, *heading.to, heading.subject, now.isoformat()))
    identity = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
    return f"{heading.kind}.{identity[:24]}@{organisation.hostname}"


def organisation_words(organisation: Organisation, link: str) -> dict[str, str]:
    """Return the words that all templates may use: whose rules these are, whom to ask, where to look."""
    return {
        "title": plain(organisation.title),
        "contact": plain(organisation.contact) or organisation.address,
        "look": f"See it here: {plain(link)}" if link else "",
    }


def text_part(text: str) -> bytes:
    """Render text as a MIME part: its header fields, an empty line and its body."""
    part = EmailMessage(policy=_SEVEN_BIT)
    part.set_content(text)
    del part["MIME-Version"]
    return part.as_bytes()


def octets_part(kind: str, octets: bytes) -> bytes:
    """Render octets as a MIME part of type `kind`: unchanged where 7-bit servers can carry them, else in base64."""
    if carried_in_7bit(octets):
        return f"Content-Type: {kind}\r\n\r\n".encode() + octets
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def carried_in_7bit(octets: bytes) -> bool:
    """Return True where the octets are 7bit data (RFC 2045 2.7)."""
    short = all(len(line) <= _LONGEST_LINE for line in octets.split(b"\r\n"))
    return octets.isascii() and short and not _BARE_BREAK.search(octets)


def multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    """Render Content-Type with its boundary, the empty line, and the parts. Args: `kind` such as `multipart/mixed`."""
    boundary = _boundary(parts)
    opened = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    start = b"Content-Type: " + kind.encode() + b';\r\n boundary="' + boundary + b'"\r\n\r\n'
    return start + opened + b"--" + boundary + b"--\r\n"


def _boundary(parts: Sequence[bytes]) -> bytes:
    """Return a boundary that no part holds.

    It is a digest of the parts, so nobody can write it into a part beforehand.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"=_" + digest.hexdigest()[:40].encode()
