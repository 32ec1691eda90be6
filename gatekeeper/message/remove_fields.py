"""Remove header fields by their names: the gate's own, and those that an MTA removes before mail leaves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_HEADER_END = b"\r\n\r\n"
Names = tuple[bytes, ...]


def without_fields(chunks: Sequence[bytes], names: Names) -> list[bytes]:
    """Return a message without the fields of these names; no other octet is changed.

    Args: `chunks` are the message, cut anywhere.
    """
    head, *rest = chunks or (b"",)
    if not names:
        return [head, *rest]
    if rest and _HEADER_END not in head and not head.startswith(b"\r\n"):  # rare: the header is larger than a chunk
        head, rest = b"".join((head, *rest)), []
    end = _end_of_header(head)
    if _fields(names).search(head, 0, end) is None:
        return [head, *rest]
    return [_fields(names).sub(b"", head[:end]) + head[end:], *rest]


def places_of(content: bytes, names: Names) -> tuple[tuple[bytes, int], ...]:
    """Return the fields as a milter removes them: name and occurrence from 1, of each name the last one first."""
    if not names:
        return ()
    found: dict[bytes, int] = {}
    known = {name.lower(): name for name in names}
    for field in _fields(names).finditer(content, 0, _end_of_header(content)):
        name = known[field[1].lower()]
        found[name] = found.get(name, 0) + 1
    return tuple((name, place) for name, number in found.items() for place in range(number, 0, -1))


def _end_of_header(head: bytes) -> int:
    if head.startswith(b"\r\n"):
        return 0
    end = head.find(_HEADER_END)
    return len(head) if end < 0 else end + 2


@lru_cache(maxsize=16)
def _fields(names: Names) -> re.Pattern[bytes]:
    either = b"|".join(map(re.escape, names))
    whole = rb"^(" + either + rb")[ \t]*:[^\r\n]*(?:\r\n|\Z)(?:[ \t][^\r\n]*(?:\r\n|\Z))*"
    return re.compile(whole, re.IGNORECASE | re.MULTILINE)
