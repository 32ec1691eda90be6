"""The shapes of single values of a rules file: texts, numbers, dates, addresses, domains, networks, patterns."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from gatekeeper.address import is_valid, is_valid_domain, normalise, normalise_domain
from gatekeeper.rules.language.advice import (
    SHARED_DOMAINS,
    did_you_mean,
    of_day,
    of_domain,
    of_number,
    of_own_domain,
    of_share,
    of_word,
)
from gatekeeper.rules.language.units import parse_duration, parse_share, parse_size, parse_span
from gatekeeper.rules.language.value_types import (
    INVALID,
    Json,
    Reading,
    Reference,
    Value,
    problem_of,
    scalar_text,
    shown,
)
from gatekeeper.rules.language.yaml_nodes import Node
from gatekeeper.rules.matching.patterns import PatternError, read_glob, read_regex
from gatekeeper.rules.text_template import PLACEHOLDERS, placeholders

TEXT_JSON: Json = {"type": ["string", "number", "boolean"]}  # an editor's YAML reads 212.10 and NO as these
_STRING_JSON: Json = {"type": "string"}
_NUMBER = re.compile(r"[0-9]{1,15}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CALENDAR = re.compile(r"[A-Z]{2,3}(-[A-Z0-9]{1,5})?")
_DAY = re.compile(r"(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DAY.pattern + r"[ T][0-9]{2}:[0-9]{2}")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_LONGEST_PATTERN = 1000


def _match(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return parse


def _whole(text: str) -> int:
    return int(_match(_NUMBER)(text))


def _positive(text: str) -> int:
    if _whole(text) == 0:
        raise ValueError(text)
    return _whole(text)


def _flag(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise ValueError(text)
    return text.lower() in _YES


def _switch(text: str) -> bool:
    return _flag({"on": "true", "off": "false"}.get(text.lower(), text))


def _folded_lines(text: str) -> str:
    return " ".join(text.split())


def _address(text: str) -> str:
    if not is_valid(text):
        raise ValueError(text)
    return normalise(text)


def _domain(text: str) -> str:
    """Read a domain, or `*.` and a domain for everything below it."""
    below = "*." if text.startswith("*.") else ""
    bare = text.removeprefix(below)
    if not is_valid_domain(bare):
        raise ValueError(text)
    return below + normalise_domain(bare)


def _own_domain(text: str) -> str:
    """Read a domain or pattern that can be one organisation's."""
    domain = _domain(text)
    if domain.removeprefix("*.") in SHARED_DOMAINS:
        raise ValueError(text)
    return domain


def _day(text: str) -> date:
    return date.fromisoformat(_match(_DAY)(text))


def _version(text: str) -> int:
    if text != "1":
        raise ValueError(text)
    return 1


def _path(text: str) -> Path:
    if "\0" in text or len(text) > 4096:
        raise ValueError(text)
    return Path(text)


def clock(expected: str) -> Value:
    """Return the shape of a time of day, such as 8:00 or 17:30."""

    def parse(text: str) -> time:
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise ValueError(text)
        return time(int(match[1]), int(match[2]))

    return Value(expected, parse, {"type": ["string", "number"]})


def word_of(*words: str) -> Value:
    """Return the shape of a value that is one of the words."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    expected = " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words)
    return Value(expected, parse, {"enum": list(words)}, lambda text: of_word(text, words))


VERSION = Value("1, the version of this grammar", _version, {"enum": [1, "1"]})
TEXT = Value("a text", _folded_lines, TEXT_JSON)
FOLDED_TEXT = Value("a text", lambda text: _folded_lines(text).casefold(), TEXT_JSON)
WORD = Value("a word of letters, digits and . _ -, such as approval", _match(_WORD), TEXT_JSON)
CALENDAR = Value("a country with its state, such as US-MT", _match(_CALENDAR), _STRING_JSON)
WHOLE = Value("a whole number, such as 200", _whole, {"type": "integer", "minimum": 0}, of_number)
POSITIVE = Value("a whole number of at least 1", _positive, {"type": "integer", "minimum": 1}, of_number)
FLAG = Value("true or false", _flag, {"type": "boolean"})
SWITCH = Value("on or off", _switch, {"enum": ["on", "off", True, False]})  # an editor's YAML reads on as true
ADDRESS = Value("an address, such as cio@example.gov", _address, _STRING_JSON)
DOMAIN = Value(
    'a domain, such as doa.example.gov, or "*.doa.example.gov" for all below it', _domain, _STRING_JSON, of_domain
)
OWN_DOMAIN = Value(
    'a domain of yours, such as doa.example.gov, or "*.doa.example.gov" for all below it',
    _own_domain,
    _STRING_JSON,
    of_own_domain,
)
DAY = Value("a day, such as 2026-12-31", _day, _STRING_JSON, of_day)
DURATION = Value("a length of time, such as 20s, 5m, 24h or 7d", parse_duration, _STRING_JSON)
SPAN = Value("a length of time, such as 5 working days or 48h, or none", parse_span, {"type": ["string", "number"]})
SIZE = Value("a size, such as 500KB or 5MB", parse_size, {"type": ["string", "integer"]})
SHARE = Value("a percentage, such as 80%", parse_share, _STRING_JSON, of_share)
PATH = Value("the name of a file", _path, _STRING_JSON)
NETWORK = Value(
    "a network, such as 192.0.2.0/24 or 2001:db8::/32",
    lambda text: ipaddress.ip_network(text, strict=False),
    _STRING_JSON,
)

GROUP = Value("the id of a group, such as contractors", lambda text: _match(_WORD)(text).casefold(), TEXT_JSON)
AGENCY = Reference("the id of an agency under agencies", lambda names: names.agencies)


# -- values that need more than a text ---------------------------------------------------------------------------


class Zone:
    """The shape of a time zone of the IANA database."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a ZoneInfo."""
        expected = "a time zone, such as America/Denver"
        text = scalar_text(node, expected, reading)
        if text is INVALID:
            return INVALID
        if zone := find_zone(text):
            return zone
        return reading.error(node, f"{shown(text)}: expected {expected}{did_you_mean(text, available_timezones())}")

    def schema(self) -> Json:
        """Return the schema of any text."""
        return dict(_STRING_JSON)


def find_zone(text: str) -> ZoneInfo | None:
    """Return the time zone of that name; None where there is none."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name is that of a folder in the database
        return None


class Moment:
    """The shape of a day, or of a day with a time in the ruleset's time zone; a day alone stays a date."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a date, or an aware datetime."""
        expected = "a day, such as 2026-12-31, or a day with a time, such as 2026-12-31 17:00"
        text = scalar_text(node, expected, reading)
        if text is INVALID:
            return INVALID
        try:
            return _day(text) if len(text) == 10 else self._with_time(text, reading)
        except ValueError:
            return reading.error(node, f"{shown(text)}: {problem_of(text, of_day) or f'expected {expected}'}")

    def _with_time(self, text: str, reading: Reading) -> datetime:
        return datetime.fromisoformat(_match(_MOMENT)(text)).replace(tzinfo=reading.names.timezone)

    def schema(self) -> Json:
        """Return the schema of any text."""
        return dict(_STRING_JSON)


class Pattern:
    """The shape of an RE2 pattern, or with `glob` that of `like`, where * and ? are special; both in linear time."""

    def __init__(self, glob: bool) -> None:
        self.glob = glob

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a compiled pattern."""
        text = scalar_text(node, "a pattern", reading)
        if text is INVALID:
            return INVALID
        if len(text) > _LONGEST_PATTERN:
            return reading.error(node, f"a pattern of {len(text)} characters: expected at most {_LONGEST_PATTERN}")
        try:
            return read_glob(text) if self.glob else read_regex(text)
        except PatternError as error:
            return reading.error(node, f"{shown(text)}: expected a regular expression of RE2 ({shown(str(error))})")

    def schema(self) -> Json:
        """Return the schema of any text."""
        return dict(TEXT_JSON)


class MessageTemplate:
    """The shape of the text for the sender, whose placeholders must be known."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the template, on one line."""
        text = TEXT.read(node, reading)
        if text is INVALID:
            return INVALID
        unknown = [name for name in placeholders(text) if name not in PLACEHOLDERS]
        for name in unknown:
            reading.error(node, self._problem(name))
        return INVALID if unknown else text

    def _problem(self, name: str) -> str:
        if name in ("{", "}"):
            return f"a brace that belongs to no placeholder: expected {name * 2} where the sender shall read {name}"
        hint = did_you_mean(name, PLACEHOLDERS) or f": expected one of {', '.join(PLACEHOLDERS)}"
        return f"unknown placeholder {{{name[:60]}}}{hint}"

    def schema(self) -> Json:
        """Return the schema of any text."""
        return dict(TEXT_JSON)
