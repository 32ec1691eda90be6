"""Puts a message together: header fields that no value can break out of (RFC 5322 2.2), and the MIME parts."""

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

from gatekeeper.notices.texts import plain
from gatekeeper.notices.values import Organisation

LONGEST_LINE = 998  # octets, less CRLF (RFC 5322 2.1.1)
SUBJECT_LENGTH = 200  # characters of somebody else's subject in ours
_FOLD_AT = 76
_SEVEN_BIT = SMTP.clone(cte_type="7bit")  # a report has to pass servers without 8BITMIME
_MESSAGE_ID = re.compile(r"[!-;=?-~]{3,900}")  # what stands between the brackets: visible ASCII without < and >
_BARE_BREAK = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")

Fields = list[tuple[str, str]]


def header_block(fields: Fields) -> bytes:
    """Render header fields, folded between words, with CRLF.

    Values are one line each; what is not ASCII becomes encoded words (RFC 2047), but for an address, which stays as it
    is (RFC 6532: only a SMTPUTF8 transaction can carry a message to such an address at all).
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
    """Break between words only: a Message-ID or an address is never cut."""
    lines, current = [], ""
    for word in line.split(" "):
        if current and len(current) + 1 + len(word) > room:
            lines.append(current)
            current, room = word, _FOLD_AT - 1
        else:
            current = f"{current} {word}" if current else word
    return "\r\n ".join([*lines, current])


def envelope_fields(
    organisation: Organisation,
    kind: str,
    to: str | Sequence[str],
    subject: str,
    message_id: str | None,
    now: datetime,
    own_id: str = "",
) -> Fields:
    """Make the fields that all our mails have; by the sender's Message-ID they thread with the message in question.

    The mail's own Message-ID is made of what it says unless one is given, so that a mail rendered again after a crash
    is the same mail. Raises ValueError where `to` has something that is no address, or `now` has no time zone.
    """
    addresses = [to] if isinstance(to, str) else list(to)
    for each in addresses or [""]:
        if not each or plain(each) != each:
            raise ValueError(f"{each!r} is no address to write to: expected a mailbox without control characters")
    if now.tzinfo is None:
        raise ValueError("a time without a zone: expected an aware datetime")
    said = "\0".join((kind, *addresses, subject, now.isoformat()))
    identity = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
    fields = [
        ("From", f"Gatekeeper <{organisation.address}>"),
        ("To", ", ".join(f"<{each}>" for each in addresses)),
        ("Subject", plain(subject, SUBJECT_LENGTH + 60)),
        ("Date", format_datetime(now)),
        ("Message-ID", f"<{own_id or f'{kind}.{identity[:24]}@{organisation.hostname}'}>"),
    ]
    if message_id and _MESSAGE_ID.fullmatch(message_id):
        fields += [("In-Reply-To", f"<{message_id}>"), ("References", f"<{message_id}>")]
    return fields


def organisation_words(organisation: Organisation, link: str) -> dict[str, str]:
    """Make the words that all templates may use: whose rules they are, whom to ask, where to look."""
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
    """Render octets as a part of that type, as they are where a 7-bit way carries them, else in base64."""
    if carried_in_7bit(octets):
        return f"Content-Type: {kind}\r\n\r\n".encode() + octets
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def carried_in_7bit(octets: bytes) -> bool:
    """True where the octets are 7bit data by RFC 2045 2.7."""
    short = all(len(line) <= LONGEST_LINE for line in octets.split(b"\r\n"))
    return octets.isascii() and short and not _BARE_BREAK.search(octets)


def multipart(kind: str, parts: Sequence[bytes]) -> bytes:
    """Render Content-Type with its boundary, the empty line, and the parts; `kind` is such as `multipart/mixed`."""
    boundary = _boundary(parts)
    opened = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    start = b"Content-Type: " + kind.encode() + b';\r\n boundary="' + boundary + b'"\r\n\r\n'
    return start + opened + b"--" + boundary + b"--\r\n"


def _boundary(parts: Sequence[bytes]) -> bytes:
    """Find one that no part holds: made of the parts themselves, so nobody can write it into one beforehand."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"=_" + digest.hexdigest()[:40].encode()
