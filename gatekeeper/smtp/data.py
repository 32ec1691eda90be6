"""Read a message's content as it comes after DATA: its end, dots, line ends (RFC 5321 4.1.1.4, 4.5.2, 2.3.8)."""

from __future__ import annotations

from enum import Enum

from gatekeeper.smtp.buffer import MemoryBuffer, OctetBuffer

_LINE_END = b"\r\n"
_DOTTED = b"\r\n."  # a line that begins with a dot: the end of data, or a stuffed line
_END = b"\r\n.\r\n"
_DOT = b".\r\n"
_MARKS = b"\r\n\0"  # octets that may stand only in a line end (NUL: nowhere)
_MANY = 16_384  # octets; from this size on it pays to check whether all lines have one length
_BEGINNINGS = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))  # longest first


class Fault(Enum):
    """Why a message cannot be taken in; the first fault found counts."""

    LINE_ENDS = "bare CR, bare LF or NUL"
    SIZE = "size"
    RECIPIENTS = "recipients"
    ADDRESS = "address"
    DISK = "no room on the disk"
    MEMORY = "no room in memory in time"


class ContentReader:
    """A reader of the octets behind 354, cut anywhere: finds the end of data and undoes dot-stuffing. It does no I/O.

    Only CRLF "." CRLF is the end. After any other sequence that some server might take for an end, the message goes on,
    and `fault` says that it must be refused. A faulty message's octets are dropped at once; its end is still searched.

    The last octets of a block that may begin an end of data are held back, so that every CRLF and every CRLF "." lies
    whole within one piece of work: each block can be searched, checked and unstuffed by itself.
    """

    def __init__(self, limit: int, keep: OctetBuffer | None = None) -> None:
        """Args: `limit` in octets, of the content without stuffed dots and without the end; `keep` is where it goes."""
        self.fault: Fault | None = None
        self.size = 0
        self._limit = limit
        self._pieces: OctetBuffer = MemoryBuffer() if keep is None else keep
        self._held = _LINE_END  # the line of the DATA command has ended, so a dot here begins a line
        self._lead = len(_LINE_END)  # octets of that line end that are still to be removed

    def feed(self, block: bytes) -> bytes | None:
        """Take a block. Returns None where the end of data is still to come, else the octets behind the end.

        Must not be called again after the end was found.
        """
        work = self._held + block
        # Most blocks have no dot at all, and that is the quickest test.
        dotted = work.find(_DOTTED) if b"." in work else -1
        end = work.find(_END, dotted) if dotted >= 0 else -1
        if end >= 0:
            self._take(work[: end + len(_LINE_END)], dotted >= 0)
            return work[end + len(_END) :]
        held = next((start for start in _BEGINNINGS if work.endswith(start)), b"")
        body = work[: len(work) - len(held)] if held else work
        self._held = held
        self._take(body, dotted >= 0)
        return None

    def content(self) -> bytes:
        """Return the content, once, with CRLF line ends as it came in. The reader then holds nothing."""
        return self._pieces.take()

    def _take(self, body: bytes, dotted: bool) -> None:
        if not body:
            return
        if not self.fault and not has_valid_line_ends(body):
            self.fail(Fault.LINE_ENDS)
        plain = body.replace(_DOTTED, _LINE_END) if dotted else body
        if self._lead:
            plain, self._lead = plain[self._lead :], 0
        self.size += len(plain)
        if not self.fault and self.size > self._limit:
            self.fail(Fault.SIZE)
        if not self.fault:
            self._pieces.add(plain)

    def fail(self, fault: Fault) -> None:
        """Refuse the message for this, unless it is refused already, and drop its octets."""
        self.fault = self.fault or fault
        self._pieces.clear()


def whole_content(octets: bytes, limit: int) -> bytes | None:
    """Return the content where the octets behind 354 are a whole faultless message without a stuffed dot, as most are.

    Returns None where `ContentReader` has to read the octets. Args: `limit` as in `ContentReader`.
    """
    if not octets.endswith(_END) or octets[:1] == b"." or octets.find(_DOTTED) != len(octets) - len(_END):
        return None
    content = octets[: -len(_DOT)]
    return content if len(content) <= limit and has_valid_line_ends(content) else None


def has_valid_line_ends(body: bytes) -> bool:
    """Return True where every CR stands before an LF, every LF behind a CR, and there is no NUL."""
    if len(body) >= _MANY and _is_even(body):
        return True
    return len(body) == len(body.translate(None, _MARKS)) + len(_LINE_END) * body.count(_LINE_END)


def _is_even(body: bytes) -> bool:
    """Return True for a body with valid line ends whose lines, but the first and the last, have one length, as base64.

    Line ends lie at even steps there and are checked without a search, in a fifth of the time.
    """
    first = body.find(_LINE_END)
    step = body.find(_LINE_END, first + 2) - first
    if first < 0 or step < len(_LINE_END):
        return False
    rest = bytearray(body)
    for at, octet in ((first, b"\r"), (first + 1, b"\n")):
        found = rest[at::step]
        if found != octet * len(found):
            return False
        rest[at::step] = b" " * len(found)
    # A CR that is the last octet has no LF; it would lie one step behind the others.
    return b"\r" not in rest and b"\n" not in rest and b"\0" not in rest and not body.endswith(b"\r")
