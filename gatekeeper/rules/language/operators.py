"""The tests that each kind of field admits, the shapes of their operands, and which tests a growing count admits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from gatekeeper.rules.field_kinds import Field, Kind
from gatekeeper.rules.language.scalars import (
    ADDRESS,
    AGENCY,
    DURATION,
    FLAG,
    FOLDED_TEXT,
    GROUP,
    NETWORK,
    POSITIVE,
    SHARE,
    SIZE,
    TEXT_JSON,
    WHOLE,
    Pattern,
    word_of,
)
from gatekeeper.rules.language.value_types import INVALID, Json, Key, ListOf, Reading, Section, Shape
from gatekeeper.rules.language.yaml_nodes import Mapping as MappingNode
from gatekeeper.rules.language.yaml_nodes import Node, Scalar

OPERATORS: Mapping[str, str] = {
    "equal": "A value that stands alone: the field is exactly this; of a set: this is one of the names.",
    "over": "More than the number.",
    "under": "Less than the number.",
    "at_least": "The number or more.",
    "at_most": "The number or less.",
    "in": "One of the values of a list.",
    "like": "Looks like a pattern in which * stands for anything and ? for one character.",
    "matches": "Contains what a regular expression describes (RE2, whose time is linear).",
    "includes": "The set has the name, or at least one of a list of names.",
    "only": "The set has names, and none but these.",
    "missing": "true: there is no value; false: there is one.",
}
_BOUNDS = ("over", "under", "at_least", "at_most")
_STEADY = ("over", "at_least", "includes", "like", "matches")  # once true for a growing count, always true


def operands(field: Field) -> Mapping[str, Shape]:
    """Return the tests that the field admits, each with the shape of its operand."""
    return _OPERANDS[field.kind](field)


def flips(field: Field, operator: str) -> bool:
    """Return True where the answer of the test could turn from yes to no while the mailing still comes in."""
    return field.growing and field.kind in (Kind.COUNT, Kind.NAMES) and operator not in _STEADY


class _NumberOrName:
    """The shape of what a set may equal: a number compares its size, anything else is one of its names."""

    def __init__(self, name: Shape) -> None:
        self.name = name

    def read(self, node: Node, reading: Reading) -> Any:
        """Return an int, or a tuple with the name."""
        if isinstance(node, Scalar) and node.plain and node.text.isdigit():
            return WHOLE.read(node, reading)
        value = self.name.read(node, reading)
        return INVALID if value is INVALID else (value,)

    def schema(self) -> Json:
        """Return the schema of a number or a text."""
        return dict(TEXT_JSON)


def _numbers(number: Shape) -> dict[str, Shape]:
    return dict.fromkeys((*_BOUNDS, "equal"), number) | {"in": ListOf(number, 1)}


def _name(field: Field) -> Shape:
    if field.name in ("agencies", "sender_agency"):
        return AGENCY
    if field.name == "sender_group":
        return GROUP
    return ADDRESS if field.name in ("lists", "from", "sender") else FOLDED_TEXT


def _patterns() -> dict[str, Shape]:
    return {"like": ListOf(Pattern(glob=True), 1), "matches": ListOf(Pattern(glob=False), 1), "missing": FLAG}


def _of_names(field: Field) -> dict[str, Shape]:
    names = ListOf(_name(field), 1)
    bounds: dict[str, Shape] = dict.fromkeys(_BOUNDS, WHOLE)
    sets: dict[str, Shape] = {"includes": names, "only": names, "in": names, "equal": _NumberOrName(_name(field))}
    return bounds | sets | _patterns()


def _of_text(field: Field) -> dict[str, Shape]:
    return {"equal": _name(field), "in": ListOf(_name(field), 1)} | _patterns()


def _of_word(field: Field) -> dict[str, Shape]:
    word = word_of(*field.words)
    return {"equal": word, "in": ListOf(word, 1), "missing": FLAG}


def _of_network(field: Field) -> dict[str, Shape]:
    return {"equal": NETWORK, "in": ListOf(NETWORK, 1), "missing": FLAG}


def _exactly_one(*names: str) -> Any:
    def make(values: dict[str, Any], node: MappingNode, reading: Reading) -> Any:
        if sum(name in values for name in names) != 1:
            return reading.error(node, f"expected one of {' and '.join(names)}")
        return tuple(values.items())

    return make


class _ShareOrNumber:
    """The shape of a share of a list: `80%`, or a number of its members."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a Fraction for a share, an int for a number."""
        share = isinstance(node, Scalar) and node.text.rstrip().endswith("%")
        return (SHARE if share else WHOLE).read(node, reading)

    def schema(self) -> Json:
        """Return the schema of a number or a text."""
        return {"type": ["integer", "string"]}


REACH = Section(
    "a list and how much of it, such as {of: all-staff@example.gov, at_least: 80%}",
    (
        Key("of", ADDRESS, "The address of the list.", required=True),
        Key("over", _ShareOrNumber(), "More than this share or number of its members."),
        Key("at_least", _ShareOrNumber(), "This share or number of its members, or more."),
    ),
    _exactly_one("over", "at_least"),
)
EARLIER = Section(
    "earlier mailings, such as {to: all-staff@example.gov, within: 7d, at_least: 1}",
    (
        Key("to", FOLDED_TEXT, "The audience: a list's address or an agency's id; any of this source where left out."),
        Key("within", DURATION, "How far to look back.", required=True),
        Key("at_least", POSITIVE, "So many mailings, or more."),
        Key("over", WHOLE, "More than so many mailings."),
    ),
    _exactly_one("over", "at_least"),
)
_LONGEST = timedelta(days=7)  # for so long the people of mailings are kept


def _make_sent(values: dict[str, Any], node: MappingNode, reading: Reading) -> Any:
    within = values.setdefault("within", timedelta(hours=24))
    if within > _LONGEST:
        return reading.error(node, "within is longer than 7d: expected at most 7d")
    return _exactly_one("over", "at_least")(values, node, reading)


SENT = Section(
    "how many over all mailings, such as {over: 2000, within: 24h}",
    (
        Key("over", WHOLE, "More than so many."),
        Key("at_least", POSITIVE, "So many, or more."),
        Key("within", DURATION, "How far to look back, at most 7d; 24h where left out."),
    ),
    _make_sent,
)

_OPERANDS: Mapping[Kind, Callable[[Field], Mapping[str, Shape]]] = {
    Kind.COUNT: lambda field: _numbers(WHOLE),
    Kind.SIZE: lambda field: _numbers(SIZE),
    Kind.NAMES: _of_names,
    Kind.TEXT: _of_text,
    Kind.WORD: _of_word,
    Kind.FLAG: lambda field: {"equal": FLAG},
    Kind.NETWORK: _of_network,
    Kind.REACH: lambda field: {"whole": REACH},
    Kind.EARLIER: lambda field: {"whole": EARLIER},
    Kind.SENT: lambda field: {"whole": SENT},
}
