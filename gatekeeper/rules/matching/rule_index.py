"""An index of rules: finds the rules that may match, and skips rules of which one necessary test is false.

Hundreds of rules mostly ask the same few things: is it mass? more than so many users? this sender? So each rule is
found by one of its necessary tests. Rules that share a test are found by one evaluation of that test, and by further
lookups for their other tests. Rules that need a name are found by the names that the message has, rules that need more
than a number by one binary search among their numbers, rules that need a text like a pattern by one search for all
their patterns. The verdict is the same as without the index.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from gatekeeper.rules.field_kinds import UNAVAILABLE, Kind
from gatekeeper.rules.fields import FIELDS
from gatekeeper.rules.matching.compile import CompileTest, compile_test
from gatekeeper.rules.matching.conditions import Condition, Test, conjunction
from gatekeeper.rules.matching.pattern_set import PatternSet
from gatekeeper.rules.matching.patterns import AnyPattern


class HasWhen(Protocol):
    """What this module needs of a rule."""

    @property
    def when(self) -> Condition:
        """Return the rule's condition."""


R = TypeVar("R", bound=HasWhen)
Shortlist = Callable[[Mapping[str, Any]], Sequence[R]]
_PlacedRule = tuple[int, Any]  # a rule, and its place in the file
_Lookup = Callable[[Mapping[str, Any]], Iterable[_PlacedRule]]  # field values -> rules that may match
_NUMBERS = (Kind.COUNT, Kind.SIZE, Kind.NAMES)
_BY_NAME = {Kind.NAMES: ("equal", "in", "includes"), Kind.TEXT: ("equal", "in"), Kind.WORD: ("equal", "in")}
_DEEPEST = 4  # levels of nested lookups
_FEW = 3  # patterns; so few are searched one by one as quickly


def make_shortlist(rules: Sequence[R], compile_one: CompileTest | None = None) -> Shortlist[R]:
    """Return a function of the field values that returns the rules that may match, in the order of the file.

    Args: `compile_one` makes the function of a single test, for callers whose tests do not read the fields' values.
    """
    indexed = [_IndexedRule((place, rule), _necessary_tests(rule)) for place, rule in enumerate(rules)]
    lookups = _IndexBuilder(indexed, compile_one or compile_test, compile_one is None).lookups()
    return lambda values: _shortlist(lookups, values)


def _shortlist(lookups: list[_Lookup], values: Mapping[str, Any]) -> Sequence[Any]:
    found = dict[int, Any]()
    for lookup in lookups:
        if candidates := lookup(values):
            found.update(candidates)
    return [found[place] for place in sorted(found)] if found else ()


# -- by which test a rule is found -------------------------------------------------------------------------------


class _LookupKind(IntEnum):
    """The kinds of lookup, the best last: one lookup serves the most rules, or returns the fewest."""

    TEST = 1
    PATTERN = 2
    NUMBER = 3
    NAME = 4
    SHARED_FLAG = 5


class _IndexedRule(NamedTuple):
    """A rule, with its necessary tests that no outer lookup has evaluated."""

    placed_rule: _PlacedRule
    tests: tuple[Test, ...]

    def less(self, test: Test) -> _IndexedRule:
        return _IndexedRule(self.placed_rule, tuple(each for each in self.tests if each != test))


_Group = list[tuple[Test, _IndexedRule]]  # the rules of one lookup, each with the test by which it is found


def _necessary_tests(rule: HasWhen) -> tuple[Test, ...]:
    return tuple(dict.fromkeys(part for part in conjunction(rule.when) if isinstance(part, Test)))


@dataclass
class _IndexBuilder:
    """A builder of lookups, which gives each rule exactly one lookup."""

    rules: Sequence[_IndexedRule]
    compile_one: CompileTest
    by_values: bool
    depth: int = _DEEPEST
    shared: Counter[Test] = field(init=False)  # test -> number of rules that share it
    patterns: Counter[str] = field(init=False)  # field -> number of pattern tests

    def __post_init__(self) -> None:
        self.shared = Counter(test for rule in self.rules for test in rule.tests)
        looks = (test.field for test in self.shared.elements() if test.operator in ("like", "matches"))
        self.patterns = Counter(looks)

    def lookups(self) -> list[_Lookup]:
        always: list[_PlacedRule] = [rule.placed_rule for rule in self.rules if not rule.tests]
        groups: dict[Any, _Group] = {}
        for rule in self.rules:
            if rule.tests:
                test = max(rule.tests, key=lambda test: (self.by(test), self.shared[test]))
                groups.setdefault(self.group_key(test), []).append((test, rule))
        lookups = [self.lookup(by, group) for (by, _), group in groups.items()]
        return [lambda values: always, *lookups] if always else lookups

    def by(self, test: Test) -> _LookupKind:
        kind = FIELDS[test.field].kind
        if kind is Kind.FLAG and self.shared[test] > 1:
            return _LookupKind.SHARED_FLAG
        if not self.by_values:
            return _LookupKind.TEST
        if test.operator in _BY_NAME.get(kind, ()) and not isinstance(test.operand, int):
            return _LookupKind.NAME
        if test.operator in ("over", "at_least") and kind in _NUMBERS:
            return _LookupKind.NUMBER
        looks = test.operator in ("like", "matches") and self.patterns[test.field] > _FEW
        return _LookupKind.PATTERN if looks else _LookupKind.TEST

    def group_key(self, test: Test) -> tuple[_LookupKind, Any]:
        """Return what the rules of one lookup have in common: the kind of lookup, and its field or test."""
        by = self.by(test)
        if by is _LookupKind.NUMBER:
            return by, (test.field, test.operator)
        return by, test.field if by in (_LookupKind.NAME, _LookupKind.PATTERN) else test

    def lookup(self, by: _LookupKind, group: _Group) -> _Lookup:
        make = {_LookupKind.NUMBER: _numbered, _LookupKind.NAME: _named, _LookupKind.PATTERN: _patterned}.get(by)
        return make(group) if make else self.guarded(group)

    def guarded(self, group: _Group) -> _Lookup:
        """Make the lookup of rules that share a test. An unknown test returns its rules, because they may match."""
        test = group[0][0]
        answer, placed_rules = self.compile_one(test), _placed_rules(group)
        if len(group) == 1 or not self.depth:
            return lambda values: placed_rules if answer(values) is not False else ()
        rest = [rule.less(test) for _, rule in group]
        lookups = _IndexBuilder(rest, self.compile_one, self.by_values, self.depth - 1).lookups()

        def guarded(values: Mapping[str, Any]) -> Iterable[_PlacedRule]:
            if answer(values) is False:
                return ()
            return [placed_rule for lookup in lookups for placed_rule in lookup(values)]

        return guarded


# -- lookups by values -------------------------------------------------------------------------------------------


def _placed_rules(group: _Group) -> list[_PlacedRule]:
    return [rule.placed_rule for _, rule in group]


def _operands(test: Test) -> tuple[Any, ...]:
    return test.operand if isinstance(test.operand, tuple) else (test.operand,)


def _named(group: _Group) -> _Lookup:
    """Make the lookup of rules that need one of some names."""
    field, everyone = group[0][0].field, _placed_rules(group)
    wanting: dict[str, list[_PlacedRule]] = {}
    for test, rule in group:
        for name in _operands(test):
            wanting.setdefault(str(name).casefold(), []).append(rule.placed_rule)

    def named(values: Mapping[str, Any]) -> Iterable[_PlacedRule]:
        value = values[field]
        if value is UNAVAILABLE:
            return everyone
        if isinstance(value, str):
            return wanting.get(value.casefold(), ())
        return [placed_rule for name in value or () for placed_rule in wanting.get(name.casefold(), ())]

    return named


def _numbered(group: _Group) -> _Lookup:
    """Make the lookup of rules that need more than a number, sorted by that number."""
    field, operator = group[0][0].field, group[0][0].operator
    rising = sorted(group, key=lambda each: int(each[0].operand))
    limits, ordered = [test.operand for test, _ in rising], _placed_rules(rising)
    how_many = FIELDS[field].kind is Kind.NAMES
    cut = bisect_left if operator == "over" else bisect_right

    def numbered(values: Mapping[str, Any]) -> Iterable[_PlacedRule]:
        value = values[field]
        if value is UNAVAILABLE:
            return ordered
        return ordered[: cut(limits, len(value) if how_many else value)]

    return numbered


def _patterned(group: _Group) -> _Lookup:
    """Make the lookup of rules that need a text like a pattern."""
    field, everyone = group[0][0].field, _placed_rules(group)
    looks: list[tuple[AnyPattern, _PlacedRule]] = [
        (each, rule.placed_rule) for test, rule in group for each in _operands(test)
    ]
    pattern_set, wanting = PatternSet([pattern for pattern, _ in looks]), [placed_rule for _, placed_rule in looks]

    def patterned(values: Mapping[str, Any]) -> Iterable[_PlacedRule]:
        value = values[field]
        if value is UNAVAILABLE:
            return everyone
        texts = (value,) if isinstance(value, str) else value or ()
        return [wanting[place] for text in texts for place in pattern_set.candidates(text)]

    return patterned
