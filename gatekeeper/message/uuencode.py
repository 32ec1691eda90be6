"""Find files inside plain text: uuencode (POSIX) and yEnc, older than MIME. Mail programs still offer such files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.limits import Limits
from gatekeeper.model import Attachment

_BEGIN = re.compile(rb"begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n([^\r\n]{0,100})")
_YENC = re.compile(rb"=ybegin [^\r\n]{0,200}?size=(\d{1,15}) [^\r\n]{0,200}?name=([^\r\n]{1,255})")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{4,}=*")
_END = b"\nend"


def may_hold_files(text: bytes, start: int, end: int) -> bool:
    """Return False for nearly all texts: both marks contain "begin"."""
    return text.find(b"begin", start, end) >= 0


def inserted_files(text: bytes, start: int, end: int, limits: Limits, defects: DefectCollector) -> Iterator[Attachment]:
    """Yield the files in `text[start:end]`. Lines that start like a file but have no line of data are text."""
    starts = 0
    for mark, read in ((b"begin", _uuencoded), (b"=ybegin ", _yenc)):
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


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
