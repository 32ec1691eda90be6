"""SMTP replies: one value for those that we give and those that a next hop gave (RFC 5321 4.2)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import field
from functools import lru_cache

from gatekeeper.lib.immutable import immutable

LINE_OCTETS = 512  # with the code and CRLF (RFC 5321 4.5.3.1.5)
_TAKEN_LINE_OCTETS = 2048  # what we take from a next hop; real ones go beyond 512
_TAKEN_LINES = 128
_TEXT_OCTETS = LINE_OCTETS - len("250 ") - len("\r\n")
_MORE = "..."

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |$)")  # RFC 3463 2
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ORDINARY_REPLY = re.compile(rb"([2-5][0-9]{2}) ([ -~]*)\r?\n")
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")
_PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "ß": "ss"})


class ProtocolError(Exception):
    """A next hop said what is no SMTP reply; the text tells what was expected."""


@immutable
class Reply:
    """A reply: its three-digit code, and the text of each of its lines (at least one)."""

    code: int
    lines: tuple[str, ...] = ("",)
    _wire: bytes = field(default=b"", init=False, repr=False, compare=False)  # as it was encoded last

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.code < 300

    @property
    def transient(self) -> bool:
        """True for 4xx."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """True for 5xx."""
        return 500 <= self.code < 600

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code that the first line begins with, such as "5.7.1" (RFC 2034 4)."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        return match[0] if match else None

    @property
    def text(self) -> str:
        """All lines, with a space between them."""
        return " ".join(self.lines)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()

    def encode(self) -> bytes:
        """As it is written to the wire, CRLF included: every line ASCII, without controls, of at most 512 octets."""
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

    What does not fit is cut from the end of `text`, at a word; `suffix` stays whole where it fits at all.
    Line ends and control characters become spaces, other characters lose their accents or become "?".
    """
    start = f"{enhanced} " if enhanced else ""
    tail = cut(plain(suffix), _TEXT_OCTETS - len(start))
    if tail and suffix[:1].isspace():
        tail = cut(" " + tail, _TEXT_OCTETS - len(start))
    return Reply(code, (start + cut(plain(text), _TEXT_OCTETS - len(start) - len(tail)) + tail,))


def octets_left(start: str, suffix: str) -> int:
    """Octets that are left for the text of a one-line reply between an enhanced code and a suffix."""
    return max(0, _TEXT_OCTETS - len(start) - len(suffix))


def plain(text: str) -> str:
    """Make printable ASCII of a text, its white space and control characters single spaces."""
    spaced = text[: 8 * LINE_OCTETS].translate(_PLAIN).translate(_CONTROLS)
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(letter))
    return " ".join(bare.encode("ascii", "replace").decode("ascii").split())


def cut(text: str, octets: int) -> str:
    """Shorten an ASCII text to at most `octets`, at a word where there is one, with "..." for what is gone."""
    if len(text) <= octets:
        return text
    kept = text[: max(0, octets - len(_MORE))]
    at_word, space, _ = kept.rpartition(" ")
    whole = at_word if space and len(at_word) * 2 > len(kept) else kept
    return (whole.rstrip(" ,;:") + _MORE)[: max(0, octets)]


# -- replies of a next hop ---------------------------------------------------------------------------------------


class ReplyParser:
    """Makes replies of a next hop's octets, however they are cut up. Does no I/O."""

    def __init__(self) -> None:
        self.idle = True  # nothing was begun: no octet is left over
        self._rest = bytearray()
        self._code = 0
        self._lines: list[str] = []

    def feed(self, data: bytes) -> list[Reply]:
        """Take in octets and return the replies that they complete, in order.

        Raises ProtocolError at what is no reply; replies before it are returned first, the error at the next call.
        """
        if self.idle:
            whole = _ordinary_reply(data) if len(data) <= LINE_OCTETS else None
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
    """Take whole replies of one ordinary line from the front; what is left. Thousands of them are the same."""
    at = 0
    while end := data.find(b"\n", at) + 1:
        line = data[at:end]
        reply = _ordinary_reply(line) if len(line) <= LINE_OCTETS else None
        if reply is None:
            break
        alike = _how_often(data, at, line)
        replies += [reply] * alike
        at += alike * len(line)
    return data[at:] if at else data


def _how_often(data: bytes, at: int, line: bytes) -> int:
    """How often the line comes from there on, one after the other; at least once."""
    times, step = 1, len(line)
    while data.startswith(line * times, at + times * step):
        times *= 2
    return times


@lru_cache(maxsize=256)
def _ordinary_reply(line: bytes) -> Reply | None:
    """What an ordinary line says, its end included; None for any other."""
    found = _ORDINARY_REPLY.fullmatch(line)
    return Reply(int(found[1]), (found[2].decode("ascii"),)) if found else None


def _check_length(octets: int) -> None:
    if octets > _TAKEN_LINE_OCTETS:
        raise ProtocolError(f"a reply line of more than {_TAKEN_LINE_OCTETS} octets: expected {LINE_OCTETS} at most")
