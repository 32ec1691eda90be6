"""Mark mail that the gate releases with a token that recognises the mail if it comes back; remove its hidden fields."""

from __future__ import annotations

import re
from collections.abc import Sequence

TOKEN_FIELD = b"X-Gatekeeper-Released"
_HEADER_BYTES = 262_144  # octets in which the field is searched; the gate puts it first
_TOKEN = re.compile(rb"(?:\A|\r\n)" + TOKEN_FIELD + rb":[ \t]*([A-Za-z0-9_\-]{1,64})[ \t]*\r\n")
_HEADER_END = b"\r\n\r\n"
# Fields that an MTA removes itself before mail leaves, but only after a milter has seen them.
_NOT_TO_LEAVE = re.compile(
    rb"^(?:bcc|resent-bcc|return-path)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE
)


def token_field(token: str) -> bytes:
    """Return the header field that carries a token, CRLF included."""
    return TOKEN_FIELD + b": " + token.encode("ascii") + b"\r\n"


def token_of(content: bytes) -> str | None:
    """Return the token in a message's header; None where there is none, or the field is malformed."""
    end = content.find(_HEADER_END, 0, _HEADER_BYTES)
    if content.find(TOKEN_FIELD, 0, end + 2 if end >= 0 else _HEADER_BYTES) < 0:
        return None
    found = _TOKEN.search(content, 0, end + 2 if end >= 0 else _HEADER_BYTES)
    return found[1].decode("ascii") if found else None


def without_hidden_fields(chunks: Sequence[bytes]) -> list[bytes]:
    """Return a message without Bcc, Resent-Bcc and Return-Path; no other octet is changed.

    Args: `chunks` are the message, cut anywhere.
    """
    head, *rest = chunks or (b"",)
    if _HEADER_END not in head and not head.startswith(b"\r\n"):  # rare: the header is larger than the first chunk
        head, rest = b"".join((head, *rest)), []
    end = 0 if head.startswith(b"\r\n") else head.find(_HEADER_END) + 2
    end = len(head) if end == 1 else end  # the header has no end: all of the message is header
    return [_NOT_TO_LEAVE.sub(b"", head[:end]) + head[end:], *rest]
