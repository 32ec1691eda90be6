"""Shapes: what may stand at a place of the file. Each shape reads a node into a value, and has a JSON Schema.

A shape does not stop at the first problem: it reports to `Reading` and returns INVALID, so that all problems are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import Enum
from typing import Any, Final, Protocol

from gatekeeper.lib.immutable import immutable
from gatekeeper.rules.language.advice import did_you_mean, nearest, of_blanks
from gatekeeper.rules.language.problems import Problem, RulesetError
from gatekeeper.rules.language.yaml_nodes import Mapping, Node, Scalar, Sequence, duplicate_keys
from gatekeeper.rules.matching.conditions import Condition

Json = dict[str, Any]


class Failed(Enum):
    """The type of INVALID, which stands for a value that could not be read."""

    INVALID = "invalid"


INVALID: Final = Failed.INVALID
_MOST_PROBLEMS = 200  # problems of one reading; nobody corrects more at once


@dataclass(slots=True)
class Names:
    """The names that the file declares, collected first, so that references can be checked where they stand."""

    agencies: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()  # agencies, lists and the owners that lists name
    people: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    defines: dict[str, Node] = field(default_factory=dict)
    timezone: tzinfo = UTC


@immutable
class Define:
    """A named condition once read, with its number of tests and its depth of nested defines, itself included."""

    condition: Condition | Failed
    tests: int
    level: int


@dataclass(slots=True)
class Reading:
    """The state of reading one file: its problems so far, and the names that it declares."""

    file: str
    names: Names = field(default_factory=Names)
    problems: dict[Problem, None] = field(default_factory=dict)  # in order, each once
    defines: dict[str, Define] = field(default_factory=dict)  # defines that are read already
    defining: list[str] = field(default_factory=list)  # defines being read, to notice circles
    tests: int = 0  # number of tests so far; those of defines count at each use
    level: int = 0  # depth of nested defines in what is being read

    def error(self, node: Node, text: str) -> Failed:
        """Add a problem at the node and return INVALID. Raises RulesetError where there are too many to go on."""
        if len(self.problems) >= _MOST_PROBLEMS:
            last = Problem(node.line, node.column, "too many problems to tell them all: mend these first", self.file)
            raise RulesetError([*sorted(self.problems), last])
        self.problems[Problem(node.line, node.column, text, self.file)] = None
        return INVALID

    def warn(self, node: Node, text: str) -> None:
        """Add a warning at the node."""
        self.problems[Problem(node.line, node.column, text, self.file, warning=True)] = None


class Shape(Protocol):
    """What may stand at a place."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the value of the node, or INVALID."""

    def schema(self) -> Json:
        """Return the shape as JSON Schema."""


def shown(text: str) -> str:
    """Return a text of the file, quoted and shortened for a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


# -- single values -----------------------------------------------------------------------------------------------


def _nothing(text: str) -> str:
    return ""


def problem_of(text: str, advice: Callable[[str], str]) -> str:
    """Return what to write in place of a text; "" where nothing tells."""
    return of_blanks(text) or advice(text)


@immutable
class Value:
    """The shape of a single value.

    `parse` makes the value of a text, or raises ValueError; `advice` says what to write in place of such a text.
    """

    expected: str
    parse: Callable[[str], Any]
    json: Json
    advice: Callable[[str], str] = _nothing

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the value of a scalar."""
        text = scalar_text(node, self.expected, reading)
        if text is INVALID:
            return INVALID
        try:
            return self.parse(text)
        except ValueError:
            return reading.error(node, f"{shown(text)}: {problem_of(text, self.advice) or f'expected {self.expected}'}")

    def schema(self) -> Json:
        """Return the JSON Schema of the value."""
        return dict(self.json)


def scalar_text(node: Node, expected: str, reading: Reading) -> Any:
    """Return the text of a scalar that is not empty, or INVALID."""
    if not isinstance(node, Scalar):
        return reading.error(node, f"{node.describe} here: expected {expected}{_braces(node)}")
    if node.empty:
        return reading.error(node, f"nothing stands here: expected {expected}, or leave the key out")
    return node.text


def _braces(node: Node) -> str:
    """Return a hint for `say: {users}`, which YAML reads as a key; the admin meant a text that begins with a brace."""
    if isinstance(node, Mapping) and any(isinstance(value, Scalar) and value.empty for _, value in node.pairs):
        return '; text that begins with { needs quotes: write "..." around the whole of it'
    return ""


@immutable
class Reference:
    """The shape of a name that the file declares elsewhere."""

    expected: str
    known: Callable[[Names], frozenset[str]]

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the name, which must be declared."""
        text = scalar_text(node, self.expected, reading)
        if text is INVALID:
            return INVALID
        known = self.known(reading.names)
        if text in known:
            return text
        return reading.error(node, f"{shown(text)}: expected {self.expected}{did_you_mean(text, known)}")

    def schema(self) -> Json:
        """Return the schema of any text: a schema cannot look elsewhere in the file."""
        return {"type": ["string", "number", "boolean"]}


# -- collections -------------------------------------------------------------------------------------------------


@immutable
class ListOf:
    """The shape of a list; a single value stands for a list of one."""

    item: Shape
    least: int = 0

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a tuple of the items."""
        nodes = node.items if isinstance(node, Sequence) else [node]
        if len(nodes) < self.least:
            return reading.error(node, "an empty list: expected at least one")
        values = tuple(self.item.read(each, reading) for each in nodes)
        return INVALID if INVALID in values else values

    def schema(self) -> Json:
        """Return the schema of one item or an array of items."""
        item = self.item.schema()
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": self.least}]}


@immutable
class MapOf:
    """The shape of a mapping whose keys the admin chooses, with values of one shape."""

    expected: str
    key: Value
    value: Shape

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a dict."""
        if not isinstance(node, Mapping):
            return reading.error(node, f"{node.describe} here: expected {self.expected}")
        again = _refuse_duplicates(node, reading)
        values: dict[Any, Any] = {}
        for key, value in node.pairs:
            name = self.key.read(key, reading)
            if name in values and name is not INVALID and not again:
                again = bool(reading.error(key, f"{shown(key.text)} again, in another spelling: expected once"))
            values[name] = self.value.read(value, reading)
        return INVALID if again or INVALID in values or INVALID in values.values() else values

    def schema(self) -> Json:
        """Return the schema of an object with free keys."""
        return {"type": "object", "additionalProperties": self.value.schema()}


@immutable
class Key:
    """One key of a section: its name in the file, its shape, its purpose."""

    name: str
    shape: Shape
    doc: str
    required: bool = False
    attribute: str = ""  # the value's name where it differs from the key's


def _as_they_are(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    return values


def made_into(kind: Callable[..., Any]) -> Callable[[dict[str, Any], Mapping, Reading], Any]:
    """Return a maker that puts a section's values into a dataclass, whose defaults stand for missing keys."""
    return lambda values, node, reading: kind(**values)


@immutable
class Section:
    """The shape of a mapping with fixed keys.

    `make` builds the value from the given keys, or reports and returns INVALID.
    """

    expected: str
    keys: tuple[Key, ...]
    make: Callable[[dict[str, Any], Mapping, Reading], Any] = _as_they_are

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the section's value. Keys must be known, none twice, and the required ones present."""
        if not isinstance(node, Mapping):
            return reading.error(node, f"{node.describe} here: expected {self.expected}")
        values = self._read_keys(node, reading)
        complete = self._require(node, reading)
        if _refuse_duplicates(node, reading) or not complete or INVALID in values.values():
            return INVALID
        return self.make(values, node, reading)

    def _read_keys(self, node: Mapping, reading: Reading) -> dict[str, Any]:
        known = {key.name: key for key in self.keys}
        values: dict[str, Any] = {}
        meant = self._meant(node)
        for name, value in node.pairs:
            key = known.get(name.text)
            if key is None:
                reading.error(name, _unknown_key(name.text, known, meant.get(name.text, "")))
                values[name.text] = INVALID
            else:
                values[key.attribute or key.name] = key.shape.read(value, reading)
        return values

    def _missing(self, node: Mapping) -> list[str]:
        given = {name.text for name, _ in node.pairs}
        return [key.name for key in self.keys if key.required and key.name not in given]

    def _meant(self, node: Mapping) -> dict[str, str]:
        """Return the key that each unknown one probably stands for; where one is missing, one is that one."""
        known = [key.name for key in self.keys]
        unknown = [name.text for name, _ in node.pairs if name.text not in known]
        meant = {name: near for name in unknown if (near := nearest(name, known))}
        missing = [name for name in self._missing(node) if name not in meant.values()]
        if len(missing) == len(unknown) - len(meant) == 1:
            meant |= {name: missing[0] for name in unknown if name not in meant}
        return meant

    def _require(self, node: Mapping, reading: Reading) -> bool:
        missing, told = self._missing(node), self._meant(node).values()
        if rest := [name for name in missing if name not in told]:
            reading.error(node, f"{' and '.join(rest)} missing: expected {self.expected}")
        return not missing

    def schema(self) -> Json:
        """Return the schema of an object with these keys and no others."""
        properties = {key.name: key.shape.schema() | {"description": key.doc} for key in self.keys}
        required = [key.name for key in self.keys if key.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _unknown_key(name: str, known: Iterable[str], meant: str) -> str:
    """Return what to say about an unknown key. Args: `meant` is the key that it probably stands for."""
    rest = f" (did you mean {meant}?)" if meant else f": expected one of {', '.join(known)}"
    return f"unknown key {shown(name)}{rest}"


def _refuse_duplicates(node: Mapping, reading: Reading) -> bool:
    again = list(duplicate_keys(node))
    for key, first in again:
        reading.error(key, f"key {shown(key.text)} again: it stands in line {first.line} already, expected once")
    return bool(again)
