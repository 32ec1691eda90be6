"""Read `groups`, `senders`, `together`, `consent` and `working_hours`: who sends, to whom they may, and when."""

from __future__ import annotations

from typing import Any

from gatekeeper.address import is_valid_domain, normalise_domain
from gatekeeper.rules.language.advice import did_you_mean
from gatekeeper.rules.language.scalars import ADDRESS, DURATION, PATH, TEXT, WORD, clock, word_of
from gatekeeper.rules.language.value_types import (
    INVALID,
    Json,
    Key,
    ListOf,
    MapOf,
    Reading,
    Section,
    scalar_text,
    shown,
)
from gatekeeper.rules.language.yaml_nodes import Mapping, Node
from gatekeeper.rules.specs import Consents, ConsentSource, Sender, WorkingHours

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class _AddressOrDomain:
    """The shape of an address, or of a domain (`example.gov`, `"*.example.gov"`) for all addresses there."""

    expected = 'an address, or a domain such as contractor.example.org or "*.contractor.example.org"'

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the normalised address or domain pattern."""
        text = scalar_text(node, self.expected, reading)
        if text is INVALID:
            return INVALID
        if "@" in text:
            return ADDRESS.read(node, reading)
        below = "*." if text.startswith("*.") else ""
        if not is_valid_domain(text.removeprefix(below)):
            return reading.error(node, f"{shown(text)}: expected {self.expected}")
        return below + normalise_domain(text.removeprefix(below))

    def schema(self) -> Json:
        """Return the schema of any text."""
        return {"type": "string"}


class _PermittedSender:
    """The shape of who may send under an address: a person, an agency or a group."""

    expected = "an address, or the id of an agency or of a group"

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the normalised address, or the id, which must be declared."""
        text = scalar_text(node, self.expected, reading)
        if text is INVALID:
            return INVALID
        if "@" in text:
            return ADDRESS.read(node, reading)
        known = reading.names.agencies | reading.names.groups
        if text in known:
            return text
        return reading.error(node, f"{shown(text)}: expected {self.expected}{did_you_mean(text, known)}")

    def schema(self) -> Json:
        """Return the schema of any text: a schema cannot look elsewhere in the file."""
        return {"type": ["string", "number", "boolean"]}


GROUPS = MapOf(
    'groups of senders by their ids, such as contractors: ["*.contractor.example.org", ann@example.gov]',
    WORD,
    ListOf(_AddressOrDomain(), 1),
)
SENDERS = MapOf(
    "sending addresses, such as newsletter@example.gov: {used_by: [DOA]}",
    ADDRESS,
    Section(
        "what is to be known about a sending address, such as {used_by: [jo@example.gov]}",
        (
            Key("used_by", ListOf(_PermittedSender(), 1), "Who may send under it: addresses, agencies, groups."),
            Key("purpose", TEXT, "What its mailings are for, unless an approved request says otherwise."),
        ),
        lambda values, node, reading: Sender(**values),
    ),
)
TOGETHER = word_of("agency", "person")


# -- consent -----------------------------------------------------------------------------------------------------


def _make_consent_source(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if ("file" in values) == ("sql" in values):
        return reading.error(node, "expected either file, or sql with query")
    if "sql" in values and "query" not in values:
        return reading.error(node, "sql without a query: expected query: SELECT address FROM ...")
    if "file" in values and len(values) > 1:
        others = " and ".join(name for name in values if name != "file")
        return reading.error(node, f"{others} beside file: expected these with sql only")
    return ConsentSource(**values)


_CONSENT_SOURCES = ListOf(
    Section(
        "addresses, such as {file: lists/consented.txt}",
        (
            Key("file", PATH, "A file with an address a line."),
            Key("sql", TEXT, "The URL of a database."),
            Key("query", TEXT, "What to ask it: its first column is the addresses."),
            Key("password_file", PATH, "A file with the database's password."),
            Key("age", DURATION, "How old a copy may grow while the database is down."),
        ),
        _make_consent_source,
    ),
    1,
)


def _make_consents(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if not values:
        return reading.error(node, "expected given or suppressed, or both")
    return Consents(**values)


CONSENT = Section(
    "who has consented and who has not, such as {given: {file: consented.txt}, suppressed: {file: suppressed.txt}}",
    (
        Key("given", _CONSENT_SOURCES, "Who has consented; everybody outside where left out."),
        Key("suppressed", _CONSENT_SOURCES, "Who has taken it back or never wants mass mail; it wins over given."),
    ),
    _make_consents,
)


# -- working hours -----------------------------------------------------------------------------------------------


def _make_hours(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    hours = WorkingHours(**{**values, "days": frozenset(map(_WEEKDAYS.index, values.get("days", _WEEKDAYS[:5])))})
    if hours.begin >= hours.end:
        return reading.error(node, "until is not after from: expected hours of one day")
    return hours


WORKING_HOURS = Section(
    "when people are at work, such as {from: 8:00, until: 17:00}",
    (
        Key("from", clock("the time at which work begins, such as 8:00"), "When work begins.", attribute="begin"),
        Key("until", clock("the time at which work ends, such as 17:00"), "When it ends.", attribute="end"),
        Key("days", ListOf(word_of(*_WEEKDAYS), 1), "On which days of the week; Monday to Friday where left out."),
    ),
    _make_hours,
)
