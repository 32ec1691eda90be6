"""The regular expressions that a message comes by, how each is used, and inputs made of its own character classes."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import random
import re
import re._constants as op  # type: ignore[import-untyped]
import re._parser as parser  # type: ignore[import-untyped]
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import gatekeeper

# What no message and no command of a client comes by: what administrators, files and people give to the gate.
ELSEWHERE = (
    "cli",
    "directory",
    "store.migrations",
    "settings",
    "notices.texts",
    "delivery.route_url",
    "rules.language.yaml_nodes",
)
ELSEWHERE += (
    "rules.language.scalars",
    "rules.language.units",
    "rules.language.document",
    "rules.cases.case_file",
    "rules.text_template",
)
_METHODS = ("search", "match", "fullmatch", "sub", "subn", "findall", "finditer", "split")
_CALL = re.compile(rf"\b(\w+)\.({'|'.join(_METHODS)})\b")
_PROBES = "aA0 \t\n\r\0@.,;:=-+_/\\\"'()[]<>{}!?#%&*~^|éß\u0301\u200b中"  # tried against what a class takes
_ENDS = ["", "\x01", " b"]
_MOST_INPUTS, _FEWEST = 60, 12  # of each kind, of one pattern; the fewer, the more there is in it to be tried


@dataclass(frozen=True)
class Used:
    """A compiled pattern, where it stands, and the method that the code calls it by."""

    name: str
    pattern: re.Pattern[Any]
    method: str

    def work(self, text: str) -> Callable[[], object]:
        """One use of it on a text."""
        subject = text.encode("utf-8", "surrogateescape") if isinstance(self.pattern.pattern, bytes) else text
        if self.method in ("sub", "subn"):
            empty = subject[:0]
            return lambda: getattr(self.pattern, self.method)(lambda match: empty, subject)
        if self.method == "finditer":
            return lambda: sum(1 for _ in self.pattern.finditer(subject))
        return lambda: getattr(self.pattern, self.method)(subject)


def path_modules() -> Iterator[ModuleType]:
    """Every module of the package but those that no message comes by."""
    for found in pkgutil.walk_packages(gatekeeper.__path__, "gatekeeper."):
        name = found.name.removeprefix("gatekeeper.")
        if not any(name == other or name.startswith(other + ".") for other in ELSEWHERE) and "__main__" not in name:
            yield importlib.import_module(found.name)


def used_patterns() -> dict[str, Used]:
    """Every compiled pattern of those modules, once for each method that it is called by."""
    return {used.name: used for module in path_modules() for used in _of(module)}


def _of(module: ModuleType) -> Iterator[Used]:
    called = set(_CALL.findall(inspect.getsource(module)))
    for name, value in vars(module).items():
        pattern = value if isinstance(value, re.Pattern) else getattr(value, "__self__", None)
        if not isinstance(pattern, re.Pattern):
            continue
        if value is not pattern:
            yield Used(f"{module.__name__}.{name}", pattern, value.__name__)
            continue
        methods = [method for method in _METHODS if (name, method) in called]
        for method in methods or ["search"]:  # handed on to others: the one that tries at every place
            yield Used(f"{module.__name__}.{name}.{method}", pattern, method)


# -- inputs ------------------------------------------------------------------------------------------------------


def inputs(pattern: re.Pattern[Any]) -> list[tuple[str, str, str]]:
    """What to put first, what to repeat, and what to put last, so that each part of the pattern has much to do."""
    text = pattern.pattern
    tree = parser.parse(text.decode("latin-1") if isinstance(text, bytes) else text, pattern.flags & ~re.DEBUG)
    pieces = list(dict.fromkeys(_pieces(tree)))
    starts = list(dict.fromkeys(["", *_starts(tree)]))
    most = min(_MOST_INPUTS, max(_FEWEST, 20 * _MOST_INPUTS // len(pieces)))
    singles = _some(most, _ENDS, pieces, [""], starts[:6])
    pairs = _some(most, _ENDS, [*pieces, *starts], ["", *pieces], starts)
    found = ((start, one + other, end) for end, one, other, start in [*singles, *pairs])
    return list(dict.fromkeys(each for each in found if each[1]))


def _some(most: int, *choices: list[str]) -> Iterator[tuple[str, ...]]:
    """At most so many of all combinations, from anywhere among them; there may be hundreds of millions."""
    number = math.prod(map(len, choices))
    for place in random.Random(number).sample(range(number), min(most, number)):
        chosen, rest = [], place
        for options in reversed(choices):
            rest, index = divmod(rest, len(options))
            chosen.append(options[index])
        yield tuple(reversed(chosen))


def _pieces(tree: Any) -> Iterator[str]:
    """A character of each class and literal, and each run of literals as it stands."""
    run = ""
    for code, value in tree:
        if code is op.LITERAL:
            run += chr(value)
            yield chr(value)
            continue
        if len(run) > 1:
            yield run
        run = ""
        if code in (op.IN, op.ANY, op.NOT_LITERAL):
            yield from _taken(code, value)[:2]
        else:
            for inner in _inside(code, value):
                yield from _pieces(inner)
    if len(run) > 1:
        yield run


def _inside(code: Any, value: Any) -> list[Any]:
    """The expressions that one holds."""
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [value[2]]
    if code is op.SUBPATTERN:
        return [value[3]]
    if code is op.BRANCH:
        return list(value[1])
    if code in (op.ASSERT, op.ASSERT_NOT):
        return [value[1]]
    return [value] if code is op.ATOMIC_GROUP else []


def _taken(code: Any, value: Any) -> list[str]:
    """Characters that a class takes, of those that are tried."""
    if code is op.ANY:
        return ["a", " "]
    members = value if code is op.IN else [(op.NEGATE, None), (op.LITERAL, value)]
    negated = members[0][0] is op.NEGATE
    named = [chr(each) for kind, each in members if kind is op.LITERAL and not negated]
    named += [chr(each[0]) for kind, each in members if kind is op.RANGE and not negated]
    tried = [probe for probe in _PROBES if any(_is_in(probe, member) for member in members) != negated]
    return list(dict.fromkeys([*tried[:1], *named, *tried]))[:4]


def _is_in(letter: str, member: tuple[Any, Any]) -> bool:
    kind, value = member
    if kind is op.LITERAL:
        return ord(letter) == value
    if kind is op.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    if kind is op.CATEGORY:
        name = str(value).removeprefix("CATEGORY_").removeprefix("UNI_")
        sort = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.removeprefix("NOT_")]
        return (re.fullmatch(sort, letter) is None) == name.startswith("NOT_")
    return False


def _starts(tree: Any) -> Iterator[str]:
    """The least that matches each beginning of an expression, of those inside it too."""
    before = ""
    for code, value in tree:
        for inner in _inside(code, value):
            yield from (before + start for start in _starts(inner))
        before += _least(code, value)
        yield before


def _least(code: Any, value: Any) -> str:
    if code is op.LITERAL:
        return chr(value)
    if code in (op.IN, op.ANY, op.NOT_LITERAL):
        return next(iter(_taken(code, value)), "")
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return _least_of(value[2]) * min(max(value[0], 1), 8)
    if code is op.SUBPATTERN:
        return _least_of(value[3])
    if code is op.BRANCH:
        return _least_of(value[1][0])
    return _least_of(value) if code is op.ATOMIC_GROUP else ""


def _least_of(tree: Any) -> str:
    return "".join(_least(code, value) for code, value in tree)
