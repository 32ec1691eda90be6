"""Which rules are worth a look: those of which one necessary test is false are passed over, many at one go.

A set of hundreds of rules mostly asks the same few things: is it mass? more than so many users? this sender? Rules that
want a name are found by the names that the message has, those that want more than a number by one search among their
numbers, and others share a test that stands before them. The verdict is the same with and without.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from .compile import CompileTest, compile_test
from .conditions import Condition, Test, conjunction
from .fields import FIELDS, UNAVAILABLE, Kind


class HasWhen(Protocol):
    """A rule, as far as this module knows it."""

    @property
    def when(self) -> Condition:
        """What it looks for."""


R = TypeVar("R", bound=HasWhen)
Shortlist = Callable[[Mapping[str, Any]], list[R]]
_Member = tuple[int, Any]  # a rule, and its place in the file
_Door = Callable[[Mapping[str, Any]], Iterable[_Member]]  # field values -> the rules behind it that may match
_NUMBERS = (Kind.COUNT, Kind.SIZE, Kind.NAMES)
_BY_NAME = {Kind.NAMES: ("equal", "in", "includes"), Kind.TEXT: ("equal", "in"), Kind.WORD: ("equal", "in")}


def make_shortlist(rules: Sequence[R], compile_one: CompileTest | None = None) -> Shortlist[R]:
    """Make a function of the field values that gives the rules that may match, in the order of the file.

    Args: `compile_one` makes the function of a single test, where tests are not answered by the fields' values.
    """
    by_values = compile_one is None
    shared = Counter(test for rule in rules for test in set(_needed(rule)))
    always: list[_Member] = []
    behind: dict[Any, list[tuple[Test, _Member]]] = {}
    for place, rule in enumerate(rules):
        test = _best(_needed(rule), shared, by_values)
        if test is None:
            always.append((place, rule))
        else:
            behind.setdefault(_door_of(test, by_values), []).append((test, (place, rule)))
    doors = [_open(kind, members, compile_one or compile_test) for kind, members in behind.items()]
    return lambda values: _shortlist(always, doors, values)


def _needed(rule: HasWhen) -> list[Test]:
    """The tests without which the rule cannot match."""
    return [part for part in conjunction(rule.when) if isinstance(part, Test)]


def _best(tests: list[Test], shared: Counter[Test], by_values: bool) -> Test | None:
    """The test to look for the rule by: a name passes the fewest, then a number, then what most rules ask."""

    def worth(test: Test) -> tuple[bool, bool, int]:
        return by_values and _by_name(test), by_values and _by_number(test), shared[test]

    return max(tests, key=worth, default=None)


def _by_name(test: Test) -> bool:
    return test.operator in _BY_NAME.get(FIELDS[test.field].kind, ()) and not isinstance(test.operand, int)


def _by_number(test: Test) -> bool:
    return test.operator in ("over", "at_least") and FIELDS[test.field].kind in _NUMBERS


def _door_of(test: Test, by_values: bool) -> Any:
    """What rules have in common that are found together."""
    if by_values and _by_name(test):
        return "name", test.field
    if by_values and _by_number(test):
        return test.operator, test.field
    return test


def _open(kind: Any, members: list[tuple[Test, _Member]], compile_one: CompileTest) -> _Door:
    if isinstance(kind, Test):
        return _guarded(kind, [member for _, member in members], compile_one)
    operator, field = kind
    return _named(field, members) if operator == "name" else _numbered(operator, field, members)


def _guarded(guard: Test, members: list[_Member], compile_one: CompileTest) -> _Door:
    """Rules that share a test; an unknown one leaves them open."""
    answer = compile_one(guard)
    return lambda values: members if answer(values) is not False else ()


def _named(field: str, members: list[tuple[Test, _Member]]) -> _Door:
    """Rules that want one of some names."""
    everyone = [member for _, member in members]
    wanting: dict[str, list[_Member]] = {}
    for test, member in members:
        for name in test.operand if isinstance(test.operand, tuple) else (test.operand,):
            wanting.setdefault(str(name).casefold(), []).append(member)

    def named(values: Mapping[str, Any]) -> Iterable[_Member]:
        value = values[field]
        if value is UNAVAILABLE:
            return everyone
        names = (value,) if isinstance(value, str) else value or ()
        return [member for name in names for member in wanting.get(name.casefold(), ())]

    return named


def _numbered(operator: str, field: str, members: list[tuple[Test, _Member]]) -> _Door:
    """Rules that want more than a number, the smallest number first."""
    rising = sorted(members, key=lambda each: int(each[0].operand))
    limits, ordered = [test.operand for test, _ in rising], [member for _, member in rising]
    how_many = FIELDS[field].kind is Kind.NAMES
    cut = bisect_left if operator == "over" else bisect_right

    def numbered(values: Mapping[str, Any]) -> Iterable[_Member]:
        value = values[field]
        if value is UNAVAILABLE:
            return ordered
        return ordered[: cut(limits, len(value) if how_many else value)]

    return numbered


def _shortlist(always: list[_Member], doors: list[_Door], values: Mapping[str, Any]) -> list[Any]:
    found = dict(always)
    for door in doors:
        found.update(door(values))
    return [found[place] for place in sorted(found)]
