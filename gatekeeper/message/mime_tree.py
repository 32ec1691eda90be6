"""Read the tree of MIME parts (RFC 2046 5) in one pass over the lines that start with "--".

No part is sliced out and read again: each such line is looked up in the table of open boundaries, which finds a
delimiter of any open multipart, so that depth costs nothing. What is over a limit stays unread and is a defect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.headers import Header
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_parameters import ParameterisedValue
from gatekeeper.message.part_fields import IDENTITY, PartFields, read_known_fields, read_part_fields

_BLANK_LINE = re.compile(rb"\n\r?\n")
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_HYPHENS = re.compile(rb"\n--")
_NEAR = 16_384  # octets behind a hyphen in which more hyphens are expected
_LONGEST_LINE = 1_024  # of a delimiter; RFC 2046 5.1.1 allows 70 characters of boundary


@dataclass(slots=True)
class Part:
    """One MIME entity: the message itself, a multipart, a nested message or a leaf; `start:end` is its body."""

    header: Header
    content_type: ParameterisedValue
    disposition: ParameterisedValue
    encoding: str
    start: int
    end: int
    parent: Part | None = None
    is_doubtful: bool = False  # a program may look for parts in its body
    children: list[Part] = field(default_factory=list)

    @property
    def type(self) -> str:
        return self.content_type.main

    @property
    def is_multipart(self) -> bool:
        return self.type.startswith("multipart/")

    @property
    def is_message(self) -> bool:
        return self.type in _MESSAGES

    @property
    def is_attached(self) -> bool:
        """Return True for the disposition `attachment`, and for unknown ones, which stand for it (RFC 2183 2.8)."""
        return self.disposition.main not in ("", "inline") or self.disposition.is_cut

    @property
    def within(self) -> str:
        """Return the type of the entity that holds this part; "" for the message itself."""
        return self.parent.type if self.parent else ""


@immutable
class Structure:
    """All parts of a message in order, the message itself first; `gaps` are preambles and epilogues of multiparts."""

    parts: tuple[Part, ...]
    gaps: tuple[tuple[int, int], ...]

    @property
    def root(self) -> Part:
        return self.parts[0]


def read_structure(content: bytes, limits: Limits, defects: DefectCollector) -> Structure:
    """Read the tree of a message's parts. Time is linear in its size, plus a small cost for each part and "--" line."""
    return _Walk(content, limits, defects).whole()


@immutable
class _Line:
    """A line that starts with "--": the offset of the "\\n" before, the text after "--", and the line's end."""

    at: int
    text: bytes
    after: int


@immutable
class _Delimiter:
    line: _Line
    level: int  # index of the multipart in the stack of open parts
    closing: bool


@dataclass(slots=True)
class _Walk:
    content: bytes
    limits: Limits
    defects: DefectCollector
    parts: list[Part] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    stack: list[Part] = field(default_factory=list)  # open parts, outermost first
    open: dict[bytes, int] = field(default_factory=dict)  # boundary -> level in the stack
    prefixes: tuple[bytes, ...] = ()  # the open boundaries, for bytes.startswith
    ended: set[bytes] = field(default_factory=set)
    gap: int | None = None  # start of the current preamble or epilogue
    at: int = 0  # offset from which the next "--" line is searched
    lines: int = 0
    waiting: _Line | None = None  # a line that was found already and belongs to the next part
    blank: tuple[int, int, int] = (1, 0, 0)  # last search for an empty line: start, found at, end

    def whole(self) -> Structure:
        delimiter = self._enter(0)
        while delimiter := delimiter or self._next_delimiter():
            delimiter = self._take(delimiter)
        self._end_gap(len(self.content))
        self._leave(0, len(self.content))
        return Structure(tuple(self.parts), tuple(self.gaps))

    # -- lines that may be delimiters

    def _next_line(self) -> _Line | None:
        if self.waiting:
            line, self.waiting = self.waiting, None
            return line
        at = self._find_hyphens() if self.open or self.ended else -1
        if at < 0:
            self.at = len(self.content) if self.open else self.at  # never searched twice
            return None
        self.lines += 1
        if self.lines > self.limits.boundary_lines:
            self.defects.add("too-many-parts")
            return None
        end = self.content.find(b"\n", at + 3, at + 3 + _LONGEST_LINE)
        end = min(at + 3 + _LONGEST_LINE, len(self.content)) if end < 0 else end
        self.at = end
        return _Line(at, self.content[at + 3 : end].rstrip(b" \t\r"), end)

    def _find_hyphens(self) -> int:
        """Return the offset of the next "\\n--"; -1 where none is.

        A single hyphen is searched first, which is much faster where there is none, as in base64.
        """
        content, at = self.content, self.at
        while (hyphen := content.find(b"-", at + 1)) >= 0:
            if found := _HYPHENS.search(content, hyphen - 1, hyphen + _NEAR):
                return found.start()
            at = hyphen + _NEAR - 2  # where a "\n--" may be cut
        return -1

    def _next_delimiter(self, before: int | None = None) -> _Delimiter | None:
        """Return the next delimiter of an open multipart, up to the offset `before`; None where there is none."""
        while line := self._next_line():
            if before is not None and line.at >= before:
                self.waiting = line
                return None
            if delimiter := self._as_delimiter(line):
                return delimiter
        return None

    def _as_delimiter(self, line: _Line) -> _Delimiter | None:
        text = line.text
        for boundary, closing in ((text, False), (text[:-2] if text.endswith(b"--") else None, True)):
            if boundary is not None and boundary in self.open:
                return _Delimiter(line, self.open[boundary], closing)
        if text in self.ended:
            self.defects.add("part-after-end")
        elif text.startswith(self.prefixes):
            self.defects.add("clashing-boundary")  # some readers compare only the start of the line
        return None

    # -- parts

    def _take(self, delimiter: _Delimiter) -> _Delimiter | None:
        line = delimiter.line
        self._end_gap(line.at)
        multipart = self.stack[delimiter.level]
        self._leave(delimiter.level + 1, line.at)
        if not delimiter.closing:
            return self._enter(line.after + 1)
        self._close(delimiter.level, line.at)
        self.defects.add_if(not multipart.children, "unclosed-multipart")
        self.gap = line.after
        return None

    def _enter(self, start: int) -> _Delimiter | None:
        """Read the part that starts at `start`, and on into nested messages and what they hold.

        Returns the delimiter that cut a header short, if one did.
        """
        while True:
            if len(self.parts) >= self.limits.parts:
                self.defects.add("too-many-parts")
                self.at, self.waiting = len(self.content), None
                return None
            header_end, body = self._header_span(start)
            cut = self._next_delimiter(before=header_end) if self.open else None
            if cut:
                header_end = body = cut.line.at
            elif not self.waiting:
                self.at = max(self.at, body - 1)
            part = self._part(start, header_end, body)
            if not self._opens(part) or cut:
                return cut
            start = body

    def _header_span(self, start: int) -> tuple[int, int]:
        """Return where the header ends and where the body starts.

        An empty line at the start means that there is no header.
        """
        for empty in (b"\n", b"\r\n"):
            if self.content.startswith(empty, start):
                return start, start + len(empty)
        if not self.blank[0] <= start <= self.blank[1]:
            found = _BLANK_LINE.search(self.content, start)
            self.blank = (start, *(found.span() if found else (len(self.content), len(self.content))))
        return self.blank[1], self.blank[2]

    def _part(self, start: int, header_end: int, body: int) -> Part:
        length = header_end - start
        if length > self.limits.header_bytes:
            self.defects.add("header-over-limit")
            length = self.limits.header_bytes
        parent = self.stack[-1] if self.stack else None
        read = read_known_fields if parent else read_part_fields  # no two messages have the same header
        block = self.content[start : start + max(length, 0)]
        part = _part_of(read(block, self.limits, self.defects), parent)
        part.start, part.end = min(body, len(self.content)), len(self.content)
        self.parts.append(part)
        self.stack.append(part)
        if parent:
            parent.children.append(part)
        return part

    def _opens(self, part: Part) -> bool:
        """Open a multipart or nested message. Returns True where a nested message starts at once."""
        if not (part.is_multipart or part.is_message):
            return False
        encoded = part.encoding not in IDENTITY
        self.defects.add_if(encoded, "encoded-container")
        if len(self.stack) > self.limits.depth:
            self.defects.add("too-deep")
            return False
        if part.is_multipart:
            self._open_multipart(part)
        return part.is_message and not encoded

    def _open_multipart(self, part: Part) -> None:
        boundary = part.content_type.get("boundary").encode("utf-8", "surrogateescape").rstrip()
        if not boundary or len(boundary) >= _LONGEST_LINE - 2:
            self.defects.add("missing-boundary")
            return
        clash = len(part.content_type.all("boundary")) > 1 or any(_clash(boundary, other) for other in self.open)
        self.defects.add_if(clash, "clashing-boundary")
        self.open[boundary] = len(self.stack) - 1
        self.ended.discard(boundary)
        self.prefixes = tuple(self.open)
        self.gap = part.start

    def _leave(self, level: int, at: int) -> None:
        """End all open parts from `level` of the stack on.

        A multipart among them was never closed, which is a defect.
        """
        while len(self.stack) > level:
            part = self.stack[-1]
            if part.is_multipart and len(self.stack) - 1 in self.open.values():
                self.defects.add("unclosed-multipart")
                self._close(len(self.stack) - 1, at)
            part.end = max(part.start, at - 1 if self.content[at - 1 : at] == b"\r" else at)
            self.stack.pop()

    def _close(self, level: int, at: int) -> None:
        """Close a multipart: its boundary no longer delimits anything, and is a defect if it is seen again."""
        over = [boundary for boundary, opened in self.open.items() if opened == level]
        for boundary in over:
            del self.open[boundary]
        self.ended.update(over)
        self.prefixes = tuple(self.open)

    def _end_gap(self, at: int) -> None:
        if self.gap is not None:
            self.gaps.append((self.gap, max(self.gap, at)))
            self.gap = None


def _clash(boundary: bytes, outer: bytes) -> bool:
    """Return True where one boundary starts like the other (RFC 2046 5.1.2 forbids it), but for Eudora's suffixes."""
    longer = boundary.removeprefix(outer)
    return (longer != boundary and longer not in (b".ALT", b".REL")) or outer.startswith(boundary)


def _part_of(read: PartFields, parent: Part | None) -> Part:
    """Return a part without its place; its type is by default text/plain, in a digest a message.

    RFC 2045 5.2, RFC 2046 5.1.5.
    """
    given = read.content_type
    if not read.is_typed and parent is not None and parent.type == "multipart/digest":
        given = ParameterisedValue("message/rfc822", given.parameters)
    return Part(read.header, given, read.disposition, read.encoding, 0, 0, parent, is_doubtful=read.is_doubtful)


def ancestors(part: Part) -> Iterator[Part]:
    """Yield the entities around a part, innermost first."""
    while part.parent:
        part = part.parent
        yield part
