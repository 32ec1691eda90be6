"""Read calendars, such as invitations, line by line (RFC 5545 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

CALENDARS = frozenset({"text/calendar", "application/ics"})
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r'([A-Za-z0-9-]++)((?>;(?>[^":;]++|"[^"]*+")*+)*+):(.*+)', re.DOTALL)
_PARAMETER = re.compile(r';((?>[^";]++|"[^"]*+")*+)')


class Property(NamedTuple):
    """A line of a calendar. One that cannot be read has the name "", and is the value."""

    component: str  # the innermost that is open, "VEVENT"; "" before the first
    name: str  # in capitals
    written: str  # the parameters, each behind a semicolon
    value: str

    @property
    def parameters(self) -> list[str]:
        """Parameters as they are written, "CN=News"."""
        return _PARAMETER.findall(self.written)


def unfolded(text: str) -> str:
    """Return a calendar with each property on one line."""
    return _FOLD.sub("", text)


def read_properties(text: str) -> Iterator[Property]:
    """Yield all lines of a calendar but empty ones, in order."""
    open_components = [""]
    for line in unfolded(text).splitlines():
        found = _LINE.fullmatch(line)
        if found:
            read = Property(open_components[-1], found[1].upper(), found[2], found[3])
            if read.name == "BEGIN":
                open_components.append(read.value.strip().upper())
            elif read.name == "END" and len(open_components) > 1:
                open_components.pop()
            yield read
        elif line.strip():
            yield Property(open_components[-1], "", "", line)
