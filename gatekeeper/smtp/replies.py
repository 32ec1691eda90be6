"""SMTP replies (RFC 5321 4.2): one class for the gate's own replies and for those of a next hop."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import field, replace
from functools import lru_cache

from gatekeeper.lib.immutable import immutable

_LINE_OCTETS = 512  # with the code and CRLF (RFC 5321 4.5.3.1.5)
_TAKEN_LINE_OCTETS = 2048  # longest line taken from a next hop; real ones exceed 512
_TAKEN_LINES = 128
_TEXT_OCTETS = _LINE_OCTETS - len("250 ") - len("\r\n")
_MORE = "..."

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |$)")  # RFC 3463 2
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ORDINARY_REPLY = re.compile(rb"([2-5][0-9]{2}) ([ -~]*)\r?\n")
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")
_PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "ß": "ss"})


class ProtocolError(Exception):
    """A next hop sent something that is no SMTP reply; the text says what was expected."""


@immutable
class Reply:
    """An SMTP reply: its three-digit code, and the text of each line (at least one)."""

    code: int
    lines: tuple[str, ...] = ("",)
    reason: str = field(default="", repr=False, compare=False)  # a word of refusals.py; "": as the status code says
    _wire: bytes = field(default=b"", init=False, repr=False, compare=False)  # the encoded reply; cached

    @property
    def ok(self) -> bool:
        """Return True for 2xx."""
        return 200 <= self.code < 300

    @property
    def transient(self) -> bool:
        """Return True for 4xx."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Return True for 5xx."""
        return 500 <= self.code < 600

    @property
    def enhanced(self) -> str | None:
        """Return the enhanced status code at the start of the first line, such as "5.7.1" (RFC 2034 4)."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match[0] if match else None

    @property
    def is_beyond_limit(self) -> bool:
        """Return True where it refuses a recipient only because a transaction takes no more of them.

        RFC 5321 4.5.3.1.10; X.5.3 of RFC 3463 3.6 says the same whatever the code.
        """
        if self.code < 400:
            return False
        enhanced = self.enhanced
        return enhanced in ("4.5.3", "5.5.3") or (enhanced is None and self.code in (452, 552))

    @property
    def text(self) -> str:
        """Return all lines, with a space between them."""
        return " ".join(self.lines)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()

    def encode(self) -> bytes:
        """Return the reply for the wire, CRLF included: lines of ASCII without controls, of at most 512 octets."""
        if not self._wire:
            object.__setattr__(self, "_wire", _wire(self.code, self.lines or ("",)))
        return self._wire


def _wire(code: int, lines: tuple[str, ...]) -> bytes:
    if len(lines) == 1:
        return _wire_line(code, b" ", lines[0])
    return b"".join(_wire_line(code, b"-", text) for text in lines[:-1]) + _wire_line(code, b" ", lines[-1])


def _wire_line(code: int, mark: bytes, text: str) -> bytes:
    plain = text if text.isprintable() else text.translate(_CONTROLS)
    return b"%d%b%b\r\n" % (code, mark, plain.encode("ascii", "replace")[:_TEXT_OCTETS])


# -- replies of our own ------------------------------------------------------------------------------------------


def reply(code: int, text: str, enhanced: str | None = None, suffix: str = "") -> Reply:
    """Make a reply of one ASCII line of at most 512 octets, whatever is in the text.

    Text that does not fit is cut from the end of `text`, at a word; `suffix` stays whole where it fits at all.
    Line ends and control characters become spaces, other characters lose their accents or become "?".
    """
    start = f"{enhanced} " if enhanced else ""
    tail = cut(plain(suffix), _TEXT_OCTETS - len(start))
    if tail and suffix[:1].isspace():
        tail = cut(" " + tail, _TEXT_OCTETS - len(start))
    return Reply(code, (start + cut(plain(text), _TEXT_OCTETS - len(start) - len(tail)) + tail,))


def because(reason: str, given: Reply) -> Reply:
    """Return a reply that is counted under this word of refusals.py, whatever its status code."""
    return replace(given, reason=reason)


def octets_left(start: str, suffix: str) -> int:
    """Return the octets left for the text of a one-line reply between `start` (its enhanced code) and `suffix`."""
    return max(0, _TEXT_OCTETS - len(start) - len(suffix))


def plain(text: str) -> str:
    """Turn a text into printable ASCII; white space and control characters become single spaces."""
    spaced = text[: 8 * _LINE_OCTETS].translate(_PLAIN).translate(_CONTROLS)
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(letter))
    return " ".join(bare.encode("ascii", "replace").decode("ascii").split())


def cut(text: str, octets: int) -> str:
    """Shorten an ASCII text to at most `octets`, at a word if possible, with "..." for the rest."""
    if len(text) <= octets:
        return text
    kept = text[: max(0, octets - len(_MORE))]
    at_word, space, _ = kept.rpartition(" ")
    whole = at_word if space and len(at_word) * 2 > len(kept) else kept
    return (whole.rstrip(" ,;:") + _MORE)[: max(0, octets)]


# -- replies of a next hop ---------------------------------------------------------------------------------------


class ReplyParser:
    """A parser that makes replies of a next hop's octets, cut anywhere. It does no I/O."""

    def __init__(self) -> None:
        self.idle = True  # no reply has begun: no octet is left over
        self._rest = bytearray()
        self._code = 0
        self._lines: list[str] = []

    def feed(self, data: bytes) -> list[Reply]:
        """Add octets and return the replies that they complete, in order.

        Raises ProtocolError for octets that are no reply; replies before them are returned first, and the next call
        raises.
        """
        if self.idle:
            whole = _ordinary_reply(data) if len(data) <= _LINE_OCTETS else None
            if whole:
                return [whole]
        return self._feed(data)

    def _feed(self, data: bytes) -> list[Reply]:
        replies: list[Reply] = []
        if self.idle:
            data = _take_ordinary(data, replies)
        self._rest += data
        try:
            while (end := self._rest.find(b"\n")) >= 0:
                self._take_line(bytes(self._rest[:end]).removesuffix(b"\r"), replies)
                del self._rest[: end + 1]
            _check_length(len(self._rest))
        except ProtocolError:
            if not replies:
                raise
        finally:
            self.idle = not self._rest and not self._lines
        return replies

    def _take_line(self, line: bytes, replies: list[Reply]) -> None:
        _check_length(len(line))
        match = _REPLY_LINE.fullmatch(line)
        if not match:
            raise ProtocolError(f"{line[:80]!r} is no reply: expected three digits, then a space or hyphen")
        code, text = int(match[1]), (match[3] or b"").decode("utf-8", "replace").translate(_CONTROLS)
        self._check_belongs(code)
        self._code, self._lines = code, [*self._lines, text]
        if match[2] != b"-":
            replies.append(Reply(code, tuple(self._lines)))
            self._lines = []

    def _check_belongs(self, code: int) -> None:
        if self._lines and code != self._code:
            raise ProtocolError(f"a line with code {code} within a reply of {self._code}: expected one code a reply")
        if len(self._lines) >= _TAKEN_LINES:
            raise ProtocolError(f"a reply of more than {_TAKEN_LINES} lines: expected an end of it")


def _take_ordinary(data: bytes, replies: list[Reply]) -> bytes:
    """Take ordinary one-line replies from the front, of which thousands may be alike. Returns the octets left over."""
    at = 0
    while end := data.find(b"\n", at) + 1:
        line = data[at:end]
        reply = _ordinary_reply(line) if len(line) <= _LINE_OCTETS else None
        if reply is None:
            break
        alike = _how_often(data, at, line)
        replies += [reply] * alike
        at += alike * len(line)
    return data[at:] if at else data


def _how_often(data: bytes, at: int, line: bytes) -> int:
    """Return at least how often the line comes from offset `at` on, one after the other; 1 or more."""
    times, step = 1, len(line)
    while data.startswith(line * times, at + times * step):
        times *= 2
    return times


@lru_cache(maxsize=256)
def _ordinary_reply(line: bytes) -> Reply | None:
    """Return the reply of one ordinary line, line end included; None for any other line."""
    found = _ORDINARY_REPLY.fullmatch(line)
    return Reply(int(found[1]), (found[2].decode("ascii"),)) if found else None


def _check_length(octets: int) -> None:
    if octets > _TAKEN_LINE_OCTETS:
        raise ProtocolError(f"a reply line of more than {_TAKEN_LINE_OCTETS} octets: expected {_LINE_OCTETS} at most")
