"""Note where some program may find parts that the gate does not: in a body that begins like a part, or that is cut."""

from __future__ import annotations

import re

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.mime_tree import Part

_BEGINS = re.compile(  # fields, perhaps behind empty lines and a delimiter
    rb"\s{0,200}+(?:--[^\r\n]{1,200}+\s{1,200}+)?content-(?:type|disposition|transfer-encoding)[ \t]{0,9}:", re.I
)


def note_misplaced(content: bytes, part: Part, defects: DefectCollector) -> None:
    """Note fields at the start of a body whose header has no Content-Type, and the boundary of what is no multipart."""
    if part.is_multipart:
        return
    if not (part.is_message or part.header.first("content-type")) and _BEGINS.match(content, part.start, part.end):
        defects.add("header-in-body")
    boundary = part.content_type.get("boundary")
    if boundary and _is_cut(content, part, b"--" + boundary.encode("utf-8", "surrogateescape").rstrip()):
        defects.add("stray-boundary")


def _is_cut(content: bytes, part: Part, line: bytes) -> bool:
    """Return True where a line of the part starts with the delimiter."""
    if content.startswith(line, part.start, part.end):
        return True
    return content.find(b"\n" + line, part.start, part.end) >= 0
