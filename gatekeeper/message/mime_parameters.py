"""Read values with parameters, such as Content-Type (RFC 2045 5.1), and RFC 2231's long and non-ASCII parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import unquote_to_bytes

from gatekeeper.lib.immutable import immutable
from gatekeeper.message import charsets
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.limits import Limits

_SEPARATORS = re.compile(r"[\s;]*+")
_PARAMETER = re.compile(
    r"""([^\s=;"]++)\s*+=\s*+                       # name
    (?:"((?>[^"\\]++|\\.)*+)("?)|([^;"]*+))       # quoted, or up to the next semicolon
    ([^;]*+)""",
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"([\w!#$%&+.^`|~-]+)(\*(?:(\d{1,4})(\*)?)?)?", re.ASCII)  # name*, name*0, name*0* (RFC 2231 3, 4)
_NOT_IN_NAMES = re.compile(r"\([^()]*\)|[^\w.-]+")
_MAIN_END = re.compile(r"[\s,]")
_OPENING = ("<", "[", "(", "{", "'", ")", "]", ">")  # which some programs take off a value
_BRACKETS = "<>[]{}'()"
_ANOTHER = re.compile(r",\s*+[\w*-]++\s*+=")  # a parameter behind a comma
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@immutable
class ParameterisedValue:
    """A main value in lower case, and all readings of each parameter, RFC 2231's reading, the best one, first."""

    main: str = ""
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_cut: bool = False  # something else than a semicolon follows the main value

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> tuple[str, ...]:
        return self.parameters.get(name, ())


@immutable
class _Piece:
    text: str
    encoded: bool


def read_parameterised(text: str, limits: Limits, defects: DefectCollector) -> ParameterisedValue:
    """Read a field value such as `text/plain; charset=utf-8` tolerantly. Where programs disagree, a defect is noted."""
    main, rest, is_cut = _split(text)
    plain: dict[str, str] = {}
    extended: dict[str, dict[int, _Piece]] = {}
    for name, value in _pairs(rest, limits, defects):
        _sort_in(name, value, plain, extended, defects)
    found: dict[str, tuple[str, ...]] = {}
    for name in plain | extended:
        readings = [_joined(extended[name], defects)] if name in extended else []
        readings += [decode_words(plain[name], defects)] if name in plain else []
        found[name] = tuple(dict.fromkeys(readings))
    return ParameterisedValue(main.lower(), found, is_cut)


def _split(text: str) -> tuple[str, str, bool]:
    """Return the main value, the parameters, and whether a blank or a comma stands between them, or nothing before."""
    main, _, rest = text.partition(";")
    main = _without_comment(main)
    if "=" in main and not _MAIN_END.search(main):
        return "", text, True
    end = _MAIN_END.search(main)
    return (main[: end.start()], f"{main[end.end() :]};{rest}", True) if end else (main, rest, False)


def _without_comment(text: str) -> str:
    """Return the text without outer white space and without a comment at its end (RFC 2045 5.1, RFC 5322 3.2.2)."""
    text = text.strip(" \t\r\n")
    if not text.endswith(")"):
        return text
    opening = text.rfind("(")
    return text if opening < 0 or ")" in text[opening:-1] else text[:opening].rstrip()


def _pairs(text: str, limits: Limits, defects: DefectCollector) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    at = _separators_end(text, 0)
    while at < len(text):
        if len(pairs) == limits.parameters:
            defects.add("too-many-parameters")
            break
        match = _PARAMETER.match(text, at)
        if match:
            pairs.append((match[1].lower(), _value(match, defects)))
        else:
            defects.add("malformed-parameter")
        at = _separators_end(text, match.end() if match else _next_semicolon(text, at))
    return pairs


def _separators_end(text: str, at: int) -> int:
    match = _SEPARATORS.match(text, at)
    assert match is not None  # the pattern matches the empty string
    return match.end()


def _next_semicolon(text: str, at: int) -> int:
    found = text.find(";", at)
    return len(text) if found < 0 else found


def _value(match: re.Match[str], defects: DefectCollector) -> str:
    _, quoted, closing, unquoted, trailer = match.groups()
    defects.add_if(bool(_without_comment(trailer)), "malformed-parameter")
    if quoted is not None:
        defects.add_if(not closing, "malformed-parameter")
        return _ESCAPED.sub(r"\1", quoted)
    value = _without_comment(unquoted)
    defects.add_if(len(value.split()) > 1 or _ANOTHER.search(value) is not None, "malformed-parameter")
    if not value.startswith(_OPENING) or match[1].lower() == "charset":
        return value
    defects.add("malformed-parameter")
    return (value.partition(")")[2] if value[0] == "(" else value).strip(_BRACKETS)


def _sort_in(
    name: str, value: str, plain: dict[str, str], extended: dict[str, dict[int, _Piece]], defects: DefectCollector
) -> None:
    match = _NAME.fullmatch(name)
    if not match:
        defects.add("malformed-parameter")
        name = _NOT_IN_NAMES.sub("", name)
    if not match or match[2] is None:
        defects.add_if(name in plain and plain[name] != value, "clashing-parameters")
        plain.setdefault(name, value)
        return
    pieces = extended.setdefault(match[1], {})
    number = int(match[3] or 0)
    defects.add_if(number in pieces, "clashing-parameters")
    defects.add_if(number > len(pieces), "malformed-parameter")  # some programs join them as they stand
    pieces.setdefault(number, _Piece(value, match[3] is None or match[4] is not None))


def _joined(pieces: dict[int, _Piece], defects: DefectCollector) -> str:
    """Join continuations in order (RFC 2231 3). The first names the charset of all percent-encoded ones (4.1)."""
    ordered = [piece for _, piece in sorted(pieces.items())]
    defects.add_if(any("=?" in piece.text for piece in ordered), "malformed-parameter")  # RFC 2047 5 (3)
    charset, octets = "us-ascii", []
    for number, piece in enumerate(ordered):
        text = piece.text
        if number == 0 and piece.encoded and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw = text.encode("utf-8", "surrogateescape")
        octets.append(unquote_to_bytes(raw) if piece.encoded else raw)
    joined = b"".join(octets)
    if joined.isascii() and charsets.keeps_ascii(charset):
        return joined.decode("ascii")
    return charsets.decode(joined, charset or "utf-8", defects)
