"""Handle Content-Transfer-Encodings (RFC 2045 6): compute decoded sizes, and decode bounded texts."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.part_fields import IDENTITY

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CHUNK = 1 << 18  # octets; small enough that one call does not make other threads wait
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_ALPHABET + b"=")))
_STRAY_ESCAPE = re.compile(  # a "=" of quoted-printable that stands for nothing
    rb"=(?:[^0-9A-Fa-f\r\n \t]|[0-9A-Fa-f](?:[^0-9A-Fa-f]|\Z)|\r(?!\n|\Z)|[ \t](?![ \t]{0,9}+\r?(?:\n|\Z)))"
)
_FOOTER = re.compile(rb"\n(?=[^\n]{0,200}[^\sA-Za-z0-9+/=])")  # the first line behind base64 that is none
_UUENCODE = frozenset({"x-uuencode", "uuencode", "x-uue"})


def chunks(content: bytes, start: int, end: int, size: int = _CHUNK) -> Iterator[bytes]:
    """Yield the octets from start to end, in pieces of at most `size` octets."""
    for at in range(start, end, size):
        yield content[at : min(at + size, end)]


def decoded_size(content: bytes, start: int, end: int, encoding: str, defects: DefectCollector) -> int:
    """Return the size in octets of a part's body once decoded, computed without decoding."""
    if encoding == "base64":
        return _base64_size(content, start, end, defects)
    if encoding == "quoted-printable":
        defects.add_if(_STRAY_ESCAPE.search(content, start, end) is not None, "malformed-quoted-printable")
        return _quoted_printable_size(content, start, end)
    if encoding in _UUENCODE:
        return (end - start - 3 * content.count(b"\n", start, end)) * 3 // 4
    defects.add_if(encoding not in IDENTITY, "unknown-encoding")
    return end - start


@dataclass(slots=True)
class _Base64:
    characters: int = 0
    padding: int = 0
    junk: bool = False


def _base64_size(content: bytes, start: int, end: int, defects: DefectCollector) -> int:
    """Return three octets for four characters (RFC 2045 6.8). Other characters, or any after the padding, are junk."""
    seen = _Base64()
    for chunk in chunks(content, start, end):
        others = chunk.translate(None, _ALPHABET)
        seen.junk |= _has_junk(chunk, others, seen.padding > 0)
        seen.characters += len(chunk) - len(others)
        seen.padding += others.count(b"=")
    defects.add_if(seen.junk or seen.padding > 2 or (seen.characters + seen.padding) % 4 != 0, "malformed-base64")
    return seen.characters * 3 // 4


def _has_junk(chunk: bytes, others: bytes, padded: bool) -> bool:
    if others.translate(None, b"\r\n \t="):
        return True
    first = 0 if padded else chunk.find(b"=")
    return first >= 0 and bool(chunk[first:].translate(None, b"=\r\n \t"))


def _quoted_printable_size(content: bytes, start: int, end: int) -> int:
    """Return the decoded size: each =XX is one octet, each soft line break none (RFC 2045 6.7)."""
    soft_crlf = content.count(b"=\r\n", start, end)
    soft_lf = content.count(b"=\n", start, end)
    escapes = content.count(b"=", start, end) - soft_crlf - soft_lf
    return max(0, end - start - 3 * soft_crlf - 2 * soft_lf - 2 * escapes)


def decoded_text(raw: bytes, encoding: str, defects: DefectCollector) -> bytes:
    """Decode a bounded text as far as possible. A `=` of quoted-printable that stands for nothing is a defect."""
    octets = decoded(raw, encoding)
    if encoding == "quoted-printable" and b"=" in octets and _STRAY_ESCAPE.search(raw):  # it is left in the text
        defects.add("malformed-quoted-printable")
    if encoding == "base64" and (footer := footer_start(raw, 0, len(raw))) < len(raw):
        return octets + raw[footer:]
    return octets


def footer_start(content: bytes, start: int, end: int) -> int:
    """Return where a footer begins that a list has put behind the base64 of a text; the end where there is none."""
    white = sum(content.count(each, start, end) for each in (b"\r", b"\n", b" ", b"\t"))
    if end - start - white == len(content[start:end].translate(None, _NOT_BASE64)):
        return end
    footer = _FOOTER.search(content, start, end)
    return footer.start() if footer else end


def text_size(content: bytes, start: int, end: int, encoding: str, defects: DefectCollector) -> int:
    """Return the decoded size of a text, as `decoded_size` does, but that `decoded_text` looks at quoted-printable.

    A footer behind base64, which lists put there, is no defect.
    """
    if encoding == "quoted-printable":
        return _quoted_printable_size(content, start, end)
    noted = DefectCollector()
    size = decoded_size(content, start, end, encoding, noted)
    if "malformed-base64" in noted:
        return decoded_size(content, start, footer_start(content, start, end), encoding, defects)
    defects.update(noted.found)
    return size


def decoded(raw: bytes, encoding: str) -> bytes:
    """Decode a bounded piece of a body as far as possible; junk in base64 is left out (RFC 2045 6.8)."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    if encoding == "base64":
        return b"".join(_decode_base64(run) for run in raw.translate(None, _NOT_BASE64).split(b"="))
    return raw


def _decode_base64(run: bytes) -> bytes:
    """Decode the characters between two paddings. A single character left over carries no octet."""
    whole = run[: len(run) - 1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))
