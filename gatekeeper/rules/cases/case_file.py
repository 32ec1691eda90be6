"""Read the cases of a ruleset: each is a message, and what the rules must say about it. Errors have line and column.

`rules.test.yaml` belongs to `rules.yaml`. `gatekeeper rules test` judges the cases.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action
from gatekeeper.rules.cases.case_standing import CaseStanding, standing_of_rules
from gatekeeper.rules.language.problems import Problem, RulesetError
from gatekeeper.rules.language.scalars import (
    ADDRESS,
    DOMAIN,
    NETWORK,
    PATH,
    POSITIVE,
    SIZE,
    TEXT,
    TEXT_JSON,
    WHOLE,
    WORD,
    Moment,
    word_of,
)
from gatekeeper.rules.language.value_types import (
    INVALID,
    Failed,
    Json,
    Key,
    ListOf,
    MapOf,
    Names,
    Reading,
    Section,
    Value,
)
from gatekeeper.rules.language.yaml_nodes import LARGEST_FILE, Mapping, Node, YamlError, compose, decode
from gatekeeper.rules.ruleset import Ruleset


@immutable
class GeneratedRecipients:
    """A number of generated recipients, spread evenly over the domains: user1@, user2@ ..."""

    number: int
    at: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the generated addresses."""
        return tuple(f"user{each}@{self.at[each % len(self.at)]}" for each in range(self.number))


@immutable
class File:
    """An attachment, whose type follows from its name."""

    name: str
    size: int = 1000


@immutable
class Expectation:
    """What the rules must say; None for what a case leaves open."""

    verdict: Action | None = None
    rules: frozenset[str] | None = None  # exactly the rules that match
    users: int | None = None
    external: int | None = None
    agencies: frozenset[str] | None = None


@immutable
class Case:
    """One message, as a file or described here. It is the first of its mailing, unless `reached` says otherwise."""

    name: str
    to: tuple[str | GeneratedRecipients, ...]
    expect: Expectation
    line: int
    column: int
    cite: str = ""
    mail: Path | None = None  # relative to the cases' folder
    sender: str | None = None  # MAIL FROM; the address of `author` where left out
    author: str = "head@example.gov"  # the From line
    subject: str | None = "A message"
    login: str | None = None
    show: tuple[str | GeneratedRecipients, ...] = ()  # the recipients in To
    text: str = "Hello"
    files: tuple[File, ...] = ()
    header: Map[str, str] = field(default_factory=dict)  # further fields
    client: str = "127.0.0.1"
    listener: str = "smtp"
    at: date | datetime | None = None
    reached: tuple[str | GeneratedRecipients, ...] = ()  # whom earlier messages of the mailing reached
    standing: CaseStanding = field(default_factory=CaseStanding)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return all recipients of the envelope."""
        return expand_recipients(self.to)


def expand_recipients(given: tuple[str | GeneratedRecipients, ...]) -> tuple[str, ...]:
    """Return all addresses, with generated ones for those given as a number."""
    each = ((one,) if isinstance(one, str) else one.addresses for one in given)
    return tuple(address for addresses in each for address in addresses)


def read_cases(path: Path, ruleset: Ruleset) -> tuple[Case, ...]:
    """Read the cases of a ruleset. Raises RulesetError with all problems, OSError where the file cannot be read."""
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    try:
        return parse_cases(decode(content), str(path), ruleset)
    except YamlError as error:
        raise RulesetError([Problem(error.line, error.column, error.text, str(path))]) from None


def parse_cases(text: str, name: str, ruleset: Ruleset) -> tuple[Case, ...]:
    """Read cases from text. Raises RulesetError with all problems, YamlError where the text is no YAML."""
    rules = frozenset(rule.id for rule in ruleset.rules)
    reading = Reading(name, Names(agencies=frozenset(ruleset.agencies), timezone=ruleset.timezone))
    root, faults = compose(text)
    if root is None:
        raise RulesetError([Problem(1, 1, "the file is empty: expected cases", name)])
    cases = _document(rules).read(root, reading)
    problems = [*reading.problems, *(Problem(fault.line, fault.column, fault.text, name) for fault in faults)]
    if problems or isinstance(cases, Failed):
        raise RulesetError(sorted(problems))
    found: tuple[Case, ...] = cases
    return found


# -- the grammar -------------------------------------------------------------------------------------------------

_ANY_TEXT = Value("a text", str, TEXT_JSON)
_MOST, _LARGEST = 1_000_000, 100 << 20  # so that a case cannot take all memory


def _at_most(most: int, inner: Value) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if (value := inner.parse(text)) > most:
            raise ValueError(text)
        return value

    return read


_AS_MANY = Value("a whole number from 1 to 1000000", _at_most(_MOST, POSITIVE), POSITIVE.json)
_AS_LARGE = Value("a size of at most 100MB, such as 5MB", _at_most(_LARGEST, SIZE), SIZE.json)


class Recipients:
    """The shape of a recipient: an address, or a number of generated ones at some domains."""

    many = Section(
        "an address, or so many of a domain, such as {number: 2001, at: [doa.example.gov]}",
        (
            Key("number", _AS_MANY, "How many.", required=True),
            Key("at", ListOf(DOMAIN, 1), "At which domains.", required=True),
        ),
        lambda values, node, reading: GeneratedRecipients(**values),
    )

    def read(self, node: Node, reading: Reading) -> Any:
        """Return an address, or GeneratedRecipients."""
        return (self.many if isinstance(node, Mapping) else ADDRESS).read(node, reading)

    def schema(self) -> Json:
        """Return the schema of either form."""
        return {"anyOf": [ADDRESS.schema(), self.many.schema()]}


class _Attached:
    """The shape of an attachment: the name of a file, or its name and size."""

    sized = Section(
        "the name of a file, or {name: a.pdf, size: 6MB}",
        (Key("name", TEXT, "Its name.", required=True), Key("size", _AS_LARGE, "Its size.")),
        lambda values, node, reading: File(**values),
    )

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a File."""
        if isinstance(node, Mapping):
            return self.sized.read(node, reading)
        name = TEXT.read(node, reading)
        return name if name is INVALID else File(name)

    def schema(self) -> Json:
        """Return the schema of either form."""
        return {"anyOf": [TEXT.schema(), self.sized.schema()]}


class _NoneOr:
    """The shape of a value or `none`."""

    def __init__(self, inner: Value) -> None:
        self.inner = inner

    def read(self, node: Node, reading: Reading) -> Any:
        value = self.inner.read(node, reading)
        return None if value == "none" else value

    def schema(self) -> Json:
        return self.inner.schema()


_MESSAGE = (
    Key("name", TEXT, "What the case shows.", required=True),
    Key("cite", TEXT, "The clause that it shows."),
    Key("mail", PATH, "The message, as a file; else it is made of what follows."),
    Key("to", ListOf(Recipients(), 1), "The envelope's recipients.", required=True),
    Key("sender", _ANY_TEXT, "MAIL FROM, or none."),
    Key("from", TEXT, "The From line.", attribute="author"),
    Key("subject", _NoneOr(_ANY_TEXT), "The subject, or none."),
    Key("login", TEXT, "Who has logged in."),
    Key("show", ListOf(Recipients(), 1), "Who stands in To."),
    Key("text", _ANY_TEXT, "What the message says."),
    Key("attachments", ListOf(_Attached(), 1), "Files.", attribute="files"),
    Key("header", MapOf("header fields", WORD, _ANY_TEXT), "Further header fields."),
    Key("client", NETWORK, "The client's address."),
    Key("listener", word_of("smtp", "milter"), "Where it comes in."),
    Key("at", Moment(), "When it comes; today at noon where left out."),
    Key("reached", ListOf(Recipients(), 1), "Whom earlier messages of its mailing have reached."),
)


def _document(rules: frozenset[str]) -> Section:
    """Return the shape of the whole file, for a ruleset with these rules."""
    return Section(
        "cases: with a list of cases",
        (Key("cases", ListOf(_case(rules), 1), "The cases.", required=True),),
        lambda values, node, reading: values["cases"],
    )


def _case(rules: frozenset[str]) -> Section:
    known = Value(
        f"the id of a rule ({', '.join(sorted(rules)[:20]) or 'there is none'})",
        lambda text: _known(text, rules),
        TEXT_JSON,
    )
    agency = Value("the id of an agency", str, TEXT_JSON)
    expect = Section(
        "what the rules must say, such as {verdict: hold, rules: [approval]}",
        (
            Key("verdict", word_of(*Action), "The verdict."),
            Key("rules", ListOf(known), "All rules that match."),
            Key("users", WHOLE, "How many users it reaches."),
            Key("external", WHOLE, "How many externals it reaches."),
            Key("agencies", ListOf(agency), "The agencies that it reaches."),
        ),
        _expectation,
    )
    standing = Key("standing", standing_of_rules(known), "What the ledger says; nothing where left out.")
    keys = (*_MESSAGE, standing, Key("expect", expect, "What must come of it.", required=True))
    return Section("a case with name, to and expect", keys, _make)


def _known(text: str, rules: frozenset[str]) -> str:
    if text not in rules:
        raise ValueError(text)
    return text


def _expectation(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if not values:
        return reading.error(node, "nothing is expected: expected verdict, rules, users, external or agencies")
    for name in ("rules", "agencies"):
        if name in values:
            values[name] = frozenset(values[name])
    if "verdict" in values:
        values["verdict"] = Action(values["verdict"])
    return Expectation(**values)


def _make(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    made = [name for name in ("subject", "show", "text", "files", "header", "author") if name in values]
    if "mail" in values and made:
        return reading.error(node, f"{' and '.join(made)} beside mail: expected the message in the file alone")
    if "client" in values:
        values["client"] = str(values["client"].network_address)
    if values.get("sender") == "none":
        values["sender"] = ""
    return Case(line=node.line, column=node.column, **values)
