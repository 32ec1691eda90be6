"""Find files inside plain text: uuencode (POSIX), BinHex (RFC 1741) and yEnc, which some mail programs still offer."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.limits import Limits
from gatekeeper.model import Attachment

_BEGIN = re.compile(
    rb"begin(?:-base64)?[ \t]{1,9}+[0-7]{1,7}[ \t]{1,9}+([^\r\n]{1,255})\r?\n(?>[ \t]{0,9}+\r?\n){0,9}+([^\r\n]{0,100})"
)
_FILE_NAME = re.compile(rb"\S.{0,200}\.\w{1,9}[\"']?\s*")
_BINHEX = b"(This file must be converted with BinHex"
_BINHEX_START = re.compile(rb"[^\r\n]{1,99}+\s{1,40}+:([^\r\n:]{1,100}+)")
_HEXED = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FROM_HEXED = bytes.maketrans(_HEXED, _BASE64)
_YENC = re.compile(rb"=ybegin [^\r\n]{0,200}?size=(\d{1,15}) [^\r\n]{0,200}?name=([^\r\n]{1,255})")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{4,}=*")
_END = b"\nend"
_MARKED_LINE = re.compile(rb"\n(?:begin|=ybegin |\(This file must be)")
_MARKS = (b"begin", b"=ybegin ", _BINHEX)


def may_hold_files(text: bytes, start: int, end: int) -> bool:
    """Return False for nearly all texts."""
    return text.startswith(_MARKS, start, end) or _MARKED_LINE.search(text, start, end) is not None


def inserted_files(text: bytes, start: int, end: int, limits: Limits, defects: DefectCollector) -> Iterator[Attachment]:
    """Yield the files in `text[start:end]`. Lines that start like a file but have no line of data are text."""
    starts = 0
    for mark, read in zip(_MARKS, (_uuencoded, _yenc, _binhex), strict=True):
        at = start
        while (at := _line_with(text, mark, at, start, end)) >= 0:
            starts += 1
            if starts > limits.inserts:
                defects.add("too-many-parts")
                return
            file, at = read(text, at, end, defects)
            if file is not None:
                yield file


def _line_with(text: bytes, mark: bytes, at: int, start: int, end: int) -> int:
    """Return the offset of the next line that starts with the mark, the first line included; -1 if there is none."""
    if at == start and text.startswith(mark, start, end):
        return start
    found = text.find(b"\n" + mark, max(at - 1, start), end)
    return found + 1 if found >= 0 else -1


def _uuencoded(text: bytes, at: int, end: int, defects: DefectCollector) -> tuple[Attachment | None, int]:
    match = _BEGIN.match(text, at, end)
    if not match or not _is_data(match[2], match[0].startswith(b"begin-base64")):
        defects.add_if(match is not None and _FILE_NAME.fullmatch(match[1]) is not None, "malformed-uuencode")
        return None, at + 5
    close = text.find(_END, match.end(), end)
    defects.add_if(close < 0, "malformed-uuencode")
    close = end if close < 0 else close
    size = _data_size(text, match.start(2), close, match[0].startswith(b"begin-base64"))
    return Attachment(_name(match[1]), "application/octet-stream", size), close


def _data_size(text: bytes, start: int, end: int, base64: bool) -> int:
    """Return the octets in uuencoded lines. Each line states its number; all but the last hold as many as the first."""
    end = max(start, end - 200) + len(text[max(start, end - 200) : end].rstrip(b"\r\n` "))
    lines = text.count(b"\n", start, end)
    if base64:
        return (end - start - 2 * lines) * 3 // 4
    last = max(start, text.rfind(b"\n", start, end) + 1)
    return lines * _octets(text[start]) + (_octets(text[last]) if last < end else 0)


def _octets(length_character: int) -> int:
    return (length_character - 0x20) & 0x3F


def _is_data(line: bytes, base64: bool) -> bool:
    """Return True for a line of data. The first character of a uuencoded line states its octets, and so its length."""
    if base64:
        return _BASE64_LINE.fullmatch(line) is not None
    if not line or not 0x20 < line[0] <= 0x60:
        return False
    expected = 1 + (_octets(line[0]) + 2) // 3 * 4
    return expected - 3 <= len(line) <= expected + 2


def _yenc(text: bytes, at: int, end: int, defects: DefectCollector) -> tuple[Attachment | None, int]:
    match = _YENC.match(text, at, end)
    if not match:
        return None, at + 8
    return Attachment(_name(match[2]), "application/octet-stream", int(match[1])), match.end()


def _binhex(text: bytes, at: int, end: int, defects: DefectCollector) -> tuple[Attachment | None, int]:
    """Read the name, whose length is the first octet. Lines hold three octets in four characters, up to a colon."""
    match = _BINHEX_START.match(text, at, end)
    octets = _from_hexed(match[1]) if match else b""
    if not match or not 1 <= octets[0] <= 63:
        defects.add("malformed-uuencode")
        return None, at + len(_BINHEX)
    close = text.find(b":", match.end(), end)
    defects.add_if(close < 0, "malformed-uuencode")
    close = end if close < 0 else close
    name = _name(octets[1 : octets[0] + 1])
    return Attachment(name, "application/mac-binhex40", (close - match.start(1)) * 3 // 4), close


def _from_hexed(line: bytes) -> bytes:
    """Return the octets that a line of BinHex stands for; a NUL where it is none."""
    if line.translate(None, _HEXED):
        return b"\0"
    line = line[: len(line) // 4 * 4].translate(_FROM_HEXED)
    return binascii.a2b_base64(line) or b"\0"


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
