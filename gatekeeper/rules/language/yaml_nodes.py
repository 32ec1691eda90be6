"""Read YAML text into nodes with their places. No types are resolved: a scalar stays the text of the file.

The nodes are built from PyYAML's events without recursion. Aliases that explode, tags, merge keys and deep nesting
are errors here; the readers of the nodes decide what the text means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGEST_FILE = 500_000  # octets; a ruleset of 200 rules has some 60,000
_DEEPEST = 40
_MOST_NODES = 100_000  # nodes once aliases are expanded

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOO_DEEP = f"nested more than {_DEEPEST} deep: expected no more than a few levels"
_EMPTY = frozenset({"", "~", "null"})
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


class YamlError(ValueError):
    """Text that is no valid YAML for a rules file. Line and column count from 1."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(text)
        self.line, self.column, self.text = line, column, text


@dataclass(slots=True, eq=False)
class Scalar:
    """A text with its place. `plain` is True for text without quotes."""

    line: int
    column: int
    text: str = ""
    plain: bool = True
    weight: int = 1
    describe = "a single value"

    @property
    def empty(self) -> bool:
        """Return True where the file has nothing here, or a word for nothing."""
        return self.plain and self.text in _EMPTY


@dataclass(slots=True, eq=False)
class Sequence:
    """A list of nodes."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    weight: int = 1
    describe = "a list"


@dataclass(slots=True, eq=False)
class Mapping:
    """Keys with their values, in the order of the file. Every key is a scalar; `duplicate_keys` finds repeated ones."""

    line: int
    column: int
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    weight: int = 1
    describe = "keys with values"

    def get(self, name: str) -> Node | None:
        """Return the value of the key; None where the key is absent."""
        return next((value for key, value in self.pairs if key.text == name), None)


Node = Scalar | Sequence | Mapping


# -- bytes -> text -----------------------------------------------------------------------------------------------


def decode(content: bytes) -> str:
    """Decode a rules file without its byte order mark. Raises YamlError where it is too large or not UTF-8."""
    if len(content) > LARGEST_FILE:
        raise YamlError(1, 1, f"the file has more than {LARGEST_FILE} octets: expected a rules file, far smaller")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise YamlError(1, 1, "the file is UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(content[: error.start].decode("utf-8-sig", "replace"))
        octet = content[error.start]
        raise YamlError(line, column, f"octet 0x{octet:02x} is not UTF-8 (Latin-1?): save the file as UTF-8") from None


def _place(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


# -- text -> nodes -----------------------------------------------------------------------------------------------


def compose(text: str) -> tuple[Node | None, list[YamlError]]:
    """Return the tree of nodes, None for a file without content, and the errors (tags, merge keys) that can be skipped.

    Raises YamlError for the first error after which reading cannot go on.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > LARGEST_FILE:
        raise YamlError(1, 1, f"the text has more than {LARGEST_FILE} characters: expected a rules file")
    if found := _FORBIDDEN.search(text):
        line, column = _place(text[: found.start()])
        raise YamlError(line, column, f"control character U+{ord(found[0]):04X}: delete it")
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        raise _in_our_words(error, text) from None
    except yaml.YAMLError as error:
        raise YamlError(1, 1, f"this is no YAML: {error}") from None
    return composer.root, composer.errors


class _Composer:
    """A builder of nodes from events; `open` is the stack of collections that have begun and not ended."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.errors: list[YamlError] = []
        self.open: list[Sequence | Mapping] = []
        self.keys: list[Scalar | None] = []  # for each open collection, the key that has no value yet
        self.anchors: dict[str, Node] = {}
        self.unfinished: set[int] = set()  # ids of open collections: an alias to one would be endless

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._new(event, Scalar(*_start(event), event.value, event.style in (None, ""))), event)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._target(event), event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise _error(event, "a second document begins here: expected one document a file, without further ---")

    def _new(self, event: Any, node: Node) -> Node:
        if event.tag is not None:
            self.errors.append(_error(event, f"tag {event.tag}: expected a plain value, tags mean nothing here"))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
        collection = kind(*_start(event))
        self._new(event, collection)
        if len(self.open) >= _DEEPEST:
            raise _error(event, _TOO_DEEP)
        if self.open and isinstance(self.open[-1], Mapping) and self.keys[-1] is None:
            raise _error(event, "a list or keys with values in the place of a key: put text that begins so in quotes")
        self.open.append(collection)
        self.keys.append(None)
        self.unfinished.add(id(collection))

    def _end(self, event: yaml.Event) -> None:
        collection = self.open.pop()
        self.keys.pop()
        self.unfinished.discard(id(collection))
        self._place(collection, event)

    def _target(self, event: Any) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            raise _error(event, f"*{event.anchor} refers to nothing: put text that begins with * in quotes")
        if id(target) in self.unfinished:
            raise _error(event, f"*{event.anchor} refers to what it is part of: expected an end to it")
        return target

    def _place(self, node: Node, event: yaml.Event) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif self.keys[-1] is None:
            self.keys[-1] = self._key(node, parent, event)
            return
        else:
            parent.pairs.append((self.keys[-1], node))
            self.keys[-1] = None
        parent.weight += node.weight
        if parent.weight > _MOST_NODES:
            raise _error(event, f"more than {_MOST_NODES} values once aliases are written out: expected far fewer")

    def _key(self, node: Node, parent: Mapping, event: yaml.Event) -> Scalar:
        if not isinstance(node, Scalar):
            raise _error(event, "expected a word as the key")
        key = Scalar(*_start(event), node.text, node.plain)
        if key.text == "<<" and key.plain:
            self.errors.append(_error(event, "merge key <<: write the keys out, or name conditions under define"))
        return key


def duplicate_keys(mapping: Mapping) -> Iterator[tuple[Scalar, Scalar]]:
    """Yield each key that occurs again, with its first occurrence."""
    first: dict[str, Scalar] = {}
    for key, _ in mapping.pairs:
        if key.text in first:
            yield key, first[key.text]
        first.setdefault(key.text, key)


def _start(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _error(event: Any, text: str) -> YamlError:
    return YamlError(*_start(event), text)


# -- YAML's errors in plain words --------------------------------------------------------------------------------


def _in_our_words(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    """Return the error in words for admins. YAML often notices an error one line late, so that line is searched too."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    for number in (line, line - 1):
        found = _hint(lines[number], error.problem or "") if 0 <= number < len(lines) else None
        if found is not None:
            return YamlError(number + 1, found[0] + 1, found[1])
    general = next((message for part, message in _PROBLEMS if part in str(error)), None)
    return YamlError(line + 1, column + 1, general or f"this is no YAML: {error.problem or error.context}")


_QUOTES = 'text that begins with {} needs quotes: write "..." around the whole of it'
_COLON = "a colon with a space after it within a text, or an indent that does not fit: put such text in quotes"
_NO_SPACE = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000]")
_SIGN = re.compile(r"(?:^\s*-|[:,\[{])\s*([*&!%@`])")
_BRACKET = re.compile(r"(?::|^\s*-)\s+([{\[])[^{}\[\]]*[}\]]\s*[^\s#,}\]]")
_BLOCK = re.compile(r":\s+([|>])")
_PROBLEMS = (
    ("maximum nesting depth", _TOO_DEEP),  # libyaml reads ahead, and may stop at its own limit first
    ("while parsing a flow", "a [ or { that is opened and never closed, or a comma too few: expected ] or }"),
    ("quoted scalar", "a quote that is opened and never closed, or a \\ within it: expected plain text between quotes"),
    ("block", "an indent that does not fit the lines above: expected the keys of one thing below each other"),
    ("could not find expected ':'", "a key without a colon: expected a colon and a space after it"),
)


def _hint(line: str, problem: str) -> tuple[int, str] | None:
    """Return the column of the likely mistake in a line, and what to say about it; None where nothing stands out."""
    if found := _NO_SPACE.search(line.partition(" #")[0]):
        return found.start(), f"a non-breaking or invisible blank (U+{ord(found[0]):04X}): write a space"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return line.index("\t"), "a tab: indent with spaces"
    for pattern in (_SIGN, _BRACKET, _BLOCK):
        if found := pattern.search(line):
            return found.start(1), _QUOTES.format(found[1])
    if "mapping values are not allowed" in problem:
        return line.find(": ", line.find(": ") + 1) if line.count(": ") > 1 else 0, _COLON
    return None
