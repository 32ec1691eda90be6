"""Which rules are worth a look: those of which one necessary test is false are passed over, many at one go.

A set of hundreds of rules mostly asks the same few things: is it mass? more than so many users? this sender? So each
rule stands behind a door. Rules that share a test stand behind it, and behind further doors there. Those that want a
name are found by the names that the message has, those that want more than a number by one search among their numbers,
those that want a text to look like something by one look for all their patterns. The verdict is the same without doors.
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
    """A rule, as far as this module knows it."""

    @property
    def when(self) -> Condition:
        """What it looks for."""


R = TypeVar("R", bound=HasWhen)
Shortlist = Callable[[Mapping[str, Any]], Sequence[R]]
_Member = tuple[int, Any]  # a rule, and its place in the file
_Door = Callable[[Mapping[str, Any]], Iterable[_Member]]  # field values -> the rules behind it that may match
_NUMBERS = (Kind.COUNT, Kind.SIZE, Kind.NAMES)
_BY_NAME = {Kind.NAMES: ("equal", "in", "includes"), Kind.TEXT: ("equal", "in"), Kind.WORD: ("equal", "in")}
_DEEPEST = 4  # doors behind doors
_FEW = 3  # patterns that are as soon looked for one by one


def make_shortlist(rules: Sequence[R], compile_one: CompileTest | None = None) -> Shortlist[R]:
    """Make a function of the field values that gives the rules that may match, in the order of the file.

    Args: `compile_one` makes the function of a single test, where tests are not answered by the fields' values.
    """
    seekers = [_Seeker((place, rule), _needed(rule)) for place, rule in enumerate(rules)]
    doors = _Plan(seekers, compile_one or compile_test, compile_one is None).doors()
    return lambda values: _shortlist(doors, values)


def _shortlist(doors: list[_Door], values: Mapping[str, Any]) -> Sequence[Any]:
    found = dict[int, Any]()
    for door in doors:
        if behind := door(values):
            found.update(behind)
    return [found[place] for place in sorted(found)] if found else ()


# -- which door a rule stands behind -----------------------------------------------------------------------------


class _By(IntEnum):
    """What rules are found by, the best last: the same look does for the most of them, or passes the fewest."""

    TEST = 1
    PATTERN = 2
    NUMBER = 3
    NAME = 4
    SHARED_FLAG = 5


class _Seeker(NamedTuple):
    """A rule, and the tests without which it cannot match and which no door before has asked."""

    member: _Member
    tests: tuple[Test, ...]

    def less(self, test: Test) -> _Seeker:
        return _Seeker(self.member, tuple(each for each in self.tests if each != test))


_Group = list[tuple[Test, _Seeker]]  # rules with one door, each with the test that it is found by


def _needed(rule: HasWhen) -> tuple[Test, ...]:
    return tuple(dict.fromkeys(part for part in conjunction(rule.when) if isinstance(part, Test)))


@dataclass
class _Plan:
    """Puts every one of some rules behind one door."""

    seekers: Sequence[_Seeker]
    compile_one: CompileTest
    by_values: bool
    depth: int = _DEEPEST
    shared: Counter[Test] = field(init=False)  # by how many rules
    patterns: Counter[str] = field(init=False)  # field -> how many tests of its looks

    def __post_init__(self) -> None:
        self.shared = Counter(test for seeker in self.seekers for test in seeker.tests)
        looks = (test.field for test in self.shared.elements() if test.operator in ("like", "matches"))
        self.patterns = Counter(looks)

    def doors(self) -> list[_Door]:
        always: list[_Member] = [seeker.member for seeker in self.seekers if not seeker.tests]
        groups: dict[Any, _Group] = {}
        for seeker in self.seekers:
            if seeker.tests:
                test = max(seeker.tests, key=lambda test: (self.by(test), self.shared[test]))
                groups.setdefault(self.door_of(test), []).append((test, seeker))
        doors = [self.door(by, group) for (by, _), group in groups.items()]
        return [lambda values: always, *doors] if always else doors

    def by(self, test: Test) -> _By:
        kind = FIELDS[test.field].kind
        if kind is Kind.FLAG and self.shared[test] > 1:
            return _By.SHARED_FLAG
        if not self.by_values:
            return _By.TEST
        if test.operator in _BY_NAME.get(kind, ()) and not isinstance(test.operand, int):
            return _By.NAME
        if test.operator in ("over", "at_least") and kind in _NUMBERS:
            return _By.NUMBER
        looks = test.operator in ("like", "matches") and self.patterns[test.field] > _FEW
        return _By.PATTERN if looks else _By.TEST

    def door_of(self, test: Test) -> tuple[_By, Any]:
        """What rules have in common that stand behind one door."""
        by = self.by(test)
        if by is _By.NUMBER:
            return by, (test.field, test.operator)
        return by, test.field if by in (_By.NAME, _By.PATTERN) else test

    def door(self, by: _By, group: _Group) -> _Door:
        make = {_By.NUMBER: _numbered, _By.NAME: _named, _By.PATTERN: _patterned}.get(by)
        return make(group) if make else self.guarded(group)

    def guarded(self, group: _Group) -> _Door:
        """Rules that share a test; an unknown one leaves them open."""
        test = group[0][0]
        answer, members = self.compile_one(test), _members(group)
        if len(group) == 1 or not self.depth:
            return lambda values: members if answer(values) is not False else ()
        behind = [seeker.less(test) for _, seeker in group]
        doors = _Plan(behind, self.compile_one, self.by_values, self.depth - 1).doors()

        def guarded(values: Mapping[str, Any]) -> Iterable[_Member]:
            if answer(values) is False:
                return ()
            return [member for door in doors for member in door(values)]

        return guarded


# -- doors by values ---------------------------------------------------------------------------------------------


def _members(group: _Group) -> list[_Member]:
    return [seeker.member for _, seeker in group]


def _operands(test: Test) -> tuple[Any, ...]:
    return test.operand if isinstance(test.operand, tuple) else (test.operand,)


def _named(group: _Group) -> _Door:
    """Rules that want one of some names."""
    field, everyone = group[0][0].field, _members(group)
    wanting: dict[str, list[_Member]] = {}
    for test, seeker in group:
        for name in _operands(test):
            wanting.setdefault(str(name).casefold(), []).append(seeker.member)

    def named(values: Mapping[str, Any]) -> Iterable[_Member]:
        value = values[field]
        if value is UNAVAILABLE:
            return everyone
        if isinstance(value, str):
            return wanting.get(value.casefold(), ())
        return [member for name in value or () for member in wanting.get(name.casefold(), ())]

    return named


def _numbered(group: _Group) -> _Door:
    """Rules that want more than a number, the smallest number first."""
    field, operator = group[0][0].field, group[0][0].operator
    rising = sorted(group, key=lambda each: int(each[0].operand))
    limits, ordered = [test.operand for test, _ in rising], _members(rising)
    how_many = FIELDS[field].kind is Kind.NAMES
    cut = bisect_left if operator == "over" else bisect_right

    def numbered(values: Mapping[str, Any]) -> Iterable[_Member]:
        value = values[field]
        if value is UNAVAILABLE:
            return ordered
        return ordered[: cut(limits, len(value) if how_many else value)]

    return numbered


def _patterned(group: _Group) -> _Door:
    """Rules that want a text to look like something."""
    field, everyone = group[0][0].field, _members(group)
    looks: list[tuple[AnyPattern, _Member]] = [(each, s.member) for test, s in group for each in _operands(test)]
    sieve, wanting = PatternSet([pattern for pattern, _ in looks]), [member for _, member in looks]

    def patterned(values: Mapping[str, Any]) -> Iterable[_Member]:
        value = values[field]
        if value is UNAVAILABLE:
            return everyone
        texts = (value,) if isinstance(value, str) else value or ()
        return [wanting[place] for text in texts for place in sieve.through(text)]

    return patterned
