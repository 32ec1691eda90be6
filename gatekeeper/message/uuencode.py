"""Files inside plain text, older than MIME: uuencode (POSIX) and yEnc. Mail programs still offer them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatekeeper.message.defects import Notebook
from gatekeeper.message.limits import Limits
from gatekeeper.model import Attachment

_BEGIN = re.compile(rb"begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n([^\r\n]{0,100})")
_YENC = re.compile(rb"=ybegin [^\r\n]{0,200}?size=(\d{1,15}) [^\r\n]{0,200}?name=([^\r\n]{1,255})")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{4,}=*")
_END = b"\nend"


def inserted_files(text: bytes, start: int, end: int, limits: Limits, notebook: Notebook) -> Iterator[Attachment]:
    """Files of `text[start:end]`; what starts like one but has no line of data is text."""
    if text.find(b"begin", start, end) < 0:  # both marks hold it, hardly any text does
        return
    starts = 0
    for mark, read in ((b"begin", _uuencoded), (b"=ybegin ", _yenc)):
        at = start
        while (at := _line_with(text, mark, at, start, end)) >= 0:
            starts += 1
            if starts > limits.inserts:
                notebook.note("too-many-parts")
                return
            file, at = read(text, at, end, notebook)
            if file is not None:
                yield file


def _line_with(text: bytes, mark: bytes, at: int, start: int, end: int) -> int:
    """Offset of the next line that starts with the mark, -1 if there is none; the first line counts."""
    if at == start and text.startswith(mark, start, end):
        return start
    found = text.find(b"\n" + mark, max(at - 1, start), end)
    return found + 1 if found >= 0 else -1


def _uuencoded(text: bytes, at: int, end: int, notebook: Notebook) -> tuple[Attachment | None, int]:
    match = _BEGIN.match(text, at, end)
    if not match or not _is_data(match[2], match[0].startswith(b"begin-base64")):
        return None, at + 5
    close = text.find(_END, match.end(), end)
    notebook.note_if(close < 0, "malformed-uuencode")
    close = end if close < 0 else close
    size = _data_size(text, match.start(2), close, match[0].startswith(b"begin-base64"))
    return Attachment(_name(match[1]), "application/octet-stream", size), close


def _data_size(text: bytes, start: int, end: int, base64: bool) -> int:
    """Octets of uuencoded lines: all but the last hold as many as the first, and each says how many."""
    end = max(start, end - 200) + len(text[max(start, end - 200) : end].rstrip(b"\r\n` "))
    lines = text.count(b"\n", start, end)
    if base64:
        return (end - start - 2 * lines) * 3 // 4
    last = max(start, text.rfind(b"\n", start, end) + 1)
    return lines * _octets(text[start]) + (_octets(text[last]) if last < end else 0)


def _octets(length_character: int) -> int:
    return (length_character - 0x20) & 0x3F


def _is_data(line: bytes, base64: bool) -> bool:
    """The first character of a uuencoded line says how many octets it holds, and thus how long it is."""
    if base64:
        return _BASE64_LINE.fullmatch(line) is not None
    if not line or not 0x20 < line[0] <= 0x60:
        return False
    expected = 1 + (_octets(line[0]) + 2) // 3 * 4
    return expected - 3 <= len(line) <= expected + 2


def _yenc(text: bytes, at: int, end: int, notebook: Notebook) -> tuple[Attachment | None, int]:
    match = _YENC.match(text, at, end)
    if not match:
        return None, at + 8
    return Attachment(_name(match[2]), "application/octet-stream", int(match[1])), match.end()


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
