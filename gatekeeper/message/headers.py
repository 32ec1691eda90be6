"""Split a header block into fields (RFC 5322 2.2) and unfold them, without interpreting them any further."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from functools import lru_cache

from gatekeeper.lib.immutable import immutable
from gatekeeper.message import charsets
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.limits import Limits

_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*")  # RFC 5322 3.6.8: printable, no colon
_LONGEST_KNOWN = 80  # characters; longer names are not cached, so that no sender makes the cache grow
_FOLD = re.compile(rb"\n(?=[ \t])")
_URI = re.compile(r"<([^<>]{1,2000})>")
_BLANK_FOLD = re.compile(rb"\n[ \t]+(?:\n|\Z)")


@immutable
class Header:
    """Header fields by lower-case name, each with its values in order: unfolded octets without outer white space."""

    values: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    several: Set[str] = frozenset()  # names of fields that occur more than once
    doubtful: Sequence[bytes] = ()  # what follows where some programs end the header: they show it as text

    def all(self, name: str) -> Sequence[bytes]:
        return self.values.get(name, ())

    def first(self, name: str) -> bytes | None:
        values = self.values.get(name)
        return values[0] if values else None

    def repeated(self, names: Set[str]) -> Set[str]:
        """Return those of the names that occur more than once."""
        return self.several & names if self.several else self.several


def read_header(block: bytes, limits: Limits, defects: DefectCollector) -> Header:
    """Read the fields of a header block.

    Where mail programs disagree (a line without a colon, a space before the colon) a defect is noted and reading goes
    on.

    Args: `block` is without the empty line after the header.
    """
    block = block.rstrip(b"\r\n").replace(b"\r\n", b"\n")
    defects.add_if(b"\0" in block or b"\r" in block, "control-character")
    doubtful = _behind_blank_line(block, defects)
    lines = _FOLD.sub(b"", block).split(b"\n", limits.fields) if block else []
    if len(lines) > limits.fields:
        defects.add("header-over-limit")
        doubtful.append(lines.pop())
    values: dict[str, list[bytes]] = {}
    several: set[str] = set()
    odd: bytes | None = None  # the first line that is no field
    for line in lines:
        name, colon, value = line.partition(b":")
        known = _field_name(name) if colon else None
        if known in values:
            values[known].append(value.strip(b" \t\r"))
            several.add(known)
        elif known:
            values[known] = [value.strip(b" \t\r")]
        if not known or name[-1] in b" \t":  # RFC 5322 4.5.8: obsolete, not read by every program
            defects.add("malformed-header")
            odd = line if odd is None else odd
    if odd is not None:
        doubtful.append(b"\n".join(lines[lines.index(odd) :]))
    return Header(values, several, doubtful)


def _behind_blank_line(block: bytes, defects: DefectCollector) -> list[bytes]:
    """Return what stands behind a line of blanks in a block, whose line ends are LF; [] where there is none."""
    if b"\n " not in block and b"\n\t" not in block:
        return []
    found = _BLANK_FOLD.search(block)
    defects.add_if(found is not None, "malformed-header")
    return [block[found.start() :]] if found else []


def _field_name(name: bytes) -> str | None:
    return _known_name(name) if len(name) <= _LONGEST_KNOWN else _read_name(name)


@lru_cache(maxsize=1_024)  # nearly all fields of mail have one of a few names
def _known_name(name: bytes) -> str | None:
    return _read_name(name)


def _read_name(name: bytes) -> str | None:
    match = _FIELD_NAME.fullmatch(name)
    return match[1].decode("ascii").lower() if match else None


def text_of(value: bytes, defects: DefectCollector) -> str:
    """Decode a field's value, but no encoded words.

    It is UTF-8 by RFC 6532; other 8-bit octets are noted as a defect.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        defects.add("undecodable-header")
        return charsets.guess(value)


def uris(header: Header, name: str) -> tuple[str, ...]:
    """Return the URIs in angle brackets of all fields of that name, such as List-Unsubscribe (RFC 2369 2)."""
    return tuple(uri.strip() for value in header.all(name) for uri in _URI.findall(value.decode("latin-1")))


def unstructured(value: bytes, defects: DefectCollector) -> str:
    """Return the text of an unstructured field such as Subject, encoded words decoded (RFC 2047 5 (1))."""
    return decode_words(text_of(value, defects), defects)
