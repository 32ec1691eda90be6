"""Read lengths of time, sizes and shares as admins write them: `24h`, `1h 30m`, `5 working days`, `7 years`, `5MB`."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

from gatekeeper.rules.record_classes import Keep
from gatekeeper.rules.specs import Span

_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_UNITS |= {"d": 86400, "day": 86400, "w": 604800, "week": 604800}
_LONGEST = 3660 * 86400  # ten years, in seconds
_PART = re.compile(r"([0-9]{1,6})\s*([a-z]+)\s*", re.IGNORECASE)
_WORKING_DAYS = re.compile(r"([0-9]{1,4})\s+(?:working|business)[ -]days?", re.IGNORECASE)
_CALENDAR = re.compile(r"([0-9]{1,3})\s*(y|years?|months?)", re.IGNORECASE)
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:octets|bytes|b|([kmg])i?b?)?", re.IGNORECASE)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%")


def parse_duration(text: str) -> timedelta:
    """Read `20s`, `5m`, `24h`, `7d`, `2 weeks`, or several in a row. Raises ValueError for other text and for zero."""
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text.strip()):
        raise ValueError("no number with a unit")
    seconds = sum(int(number) * _unit(unit) for number, unit in parts)
    if not 0 < seconds <= _LONGEST:
        raise ValueError("nothing at all, or longer than anybody waits")
    return timedelta(seconds=seconds)


def _unit(word: str) -> int:
    singular = word.lower() if word.lower() in _UNITS else word.lower().removesuffix("s")
    if singular not in _UNITS:
        raise ValueError(f"no unit: {word}")
    return _UNITS[singular]


def parse_span(text: str) -> Span:
    """Read working days (`5 working days`), time by the clock (`48h`) or `none`. Raises ValueError."""
    if text.strip().lower() in ("none", "0"):
        return Span()
    if match := _WORKING_DAYS.fullmatch(text.strip()):
        return Span(working_days=int(match[1]))
    return Span(time=parse_duration(text))


def parse_keep(text: str) -> Keep:
    """Read months and years of the calendar (`7 years`), time by the clock (`400d`) or `forever`. Raises ValueError."""
    words = " ".join(text.split())
    if words.lower() == "forever":
        return Keep()
    if match := _CALENDAR.fullmatch(words):
        months = int(match[1]) * (1 if match[2].lower().startswith("month") else 12)
        if not months:
            raise ValueError("nothing at all")
        return Keep(months=months, text=words)
    return Keep(time=parse_duration(words), text=words)


def parse_size(text: str) -> int:
    """Read a size in octets: `52428800`, `500 KB`, `5MB`, `1.5 GB` (powers of 1024). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError("no size")
    return int(float(match[1]) * 1024 ** " kmg".index((match[2] or " ").lower()))


def parse_share(text: str) -> Fraction:
    """Read a percentage as an exact share: `80%` is 4/5. Raises ValueError."""
    match = _SHARE.fullmatch(text.strip())
    if not match or not 0 < float(match[1]) <= 100:
        raise ValueError("no percentage")
    return Fraction(match[1]) / 100
