"""Render what a rule says to the sender: a text with {placeholders}, which are checked when the rules are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from gatekeeper.rules.field_kinds import UNAVAILABLE, Kind
from gatekeeper.rules.fields import FIELDS

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
LONGEST_VALUE = 200  # characters that a header may put into a reply

_SAID = (Kind.COUNT, Kind.SIZE, Kind.NAMES, Kind.TEXT, Kind.WORD)
PLACEHOLDERS: tuple[str, ...] = (
    *(field.name for field in FIELDS.values() if field.kind in _SAID),
    "contact",
    "title",
    "cite",
    "rule",
)


def placeholders(template: str) -> tuple[str, ...]:
    """Return the names in braces, in order. A brace that belongs to no name is returned as itself."""
    found = (match for match in _PARTS.finditer(template) if match[0] not in ("{{", "}}"))
    return tuple(match[0] if match[1] is None else match[1] for match in found)


def render(template: str, lookup: Callable[[str], str]) -> str:
    """Replace names by values; `{{` and `}}` become braces. Args: `lookup` returns the value of a name."""

    def part(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        return match[0] if match[1] is None else lookup(match[1])

    return _PARTS.sub(part, template)


def shown_value(name: str, values: Mapping[str, Any]) -> str:
    """Return a field's value for people: sets as their size, no control characters, not too long."""
    value = values[name]
    if value is UNAVAILABLE:
        return "an unknown number of"
    if FIELDS[name].kind is Kind.NAMES:
        return str(len(value))
    if FIELDS[name].kind is Kind.SIZE:
        return say_size(value)
    return _CONTROLS.sub(" ", str(value or 0 if FIELDS[name].kind is Kind.COUNT else value or "none"))[:LONGEST_VALUE]


def say_size(octets: int) -> str:
    """Return octets in the largest unit of which there is at least one: 1536 is `1.5 KB` (powers of 1024)."""
    size, unit = float(octets), "octets"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + " " + unit
