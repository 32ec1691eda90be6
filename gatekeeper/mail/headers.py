"""A header block as fields (RFC 5322 2.2): sliced, unfolded, never interpreted beyond that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import charsets
from .defects import Notebook
from .encoded import decode_words
from .limits import Limits

_FIELD_START = re.compile(rb"\r?\n(?![ \t])")
_FIELD_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322 3.6.8: printable, no colon
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BLANK_FOLD = re.compile(rb"\n[ \t]+\r?(?:\n|\Z)")
_BARE_CR = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Header:
    """Fields by lower-case name, each with its values in order: unfolded octets without outer white space."""

    values: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)

    def all(self, name: str) -> tuple[bytes, ...]:
        return self.values.get(name, ())

    def first(self, name: str) -> bytes | None:
        return next(iter(self.all(name)), None)


def read_header(block: bytes, limits: Limits, notebook: Notebook) -> Header:
    """The fields of a header block (without the empty line after it).

    Where mail programs disagree (a line without a colon, a space before it) the reading goes on and it is noted.
    """
    block = block.rstrip(b"\r\n")
    notebook.note_if(b"\0" in block or _BARE_CR.search(block) is not None, "control-character")
    pieces = _FIELD_START.split(block, limits.fields) if block else []
    if len(pieces) > limits.fields:
        notebook.note("header-over-limit")
        del pieces[limits.fields :]
    values: dict[str, list[bytes]] = {}
    for piece in pieces:
        _add(piece, values, notebook)
    return Header({name: tuple(found) for name, found in values.items()})


def _add(piece: bytes, values: dict[str, list[bytes]], notebook: Notebook) -> None:
    name, colon, value = piece.partition(b":")
    bare = name.rstrip(b" \t")
    if not colon or not _FIELD_NAME.fullmatch(bare):
        notebook.note_if(bool(piece.strip()), "malformed-header")
        return
    notebook.note_if(len(bare) < len(name), "malformed-header")  # RFC 5322 4.5.8: once allowed, not read by all
    values.setdefault(bare.decode("ascii").lower(), []).append(_unfold(value, notebook))


def _unfold(value: bytes, notebook: Notebook) -> bytes:
    if b"\n" in value:
        notebook.note_if(_BLANK_FOLD.search(value) is not None, "malformed-header")
        value = _FOLD.sub(b"", value)
    return value.strip(b" \t\r\n")


def text_of(value: bytes, notebook: Notebook) -> str:
    """A field's value as text, encoded words left as they are; UTF-8 by RFC 6532, other 8-bit octets are noted."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        notebook.note("undecodable-header")
        return charsets.guess(value)


def unstructured(value: bytes, notebook: Notebook) -> str:
    """A field such as Subject: encoded words decoded (RFC 2047 5 (1))."""
    return decode_words(text_of(value, notebook), notebook)
