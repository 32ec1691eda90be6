"""Which rules are worth a look: those that share a test are passed over together where it is false.

A set of hundreds of rules mostly asks the same few things first (is it mass? more than so many users?), and ordinary
mail answers no to them. The verdict is the same with and without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from .compile import CompileTest, compile_test
from .conditions import Condition, Matcher, Test, conjunction


class HasWhen(Protocol):
    """A rule, as far as this module knows it."""

    @property
    def when(self) -> Condition:
        """What it looks for."""


R = TypeVar("R", bound=HasWhen)
Shortlist = Callable[[Mapping[str, Any]], list[R]]


def make_shortlist(rules: Sequence[R], compile_one: CompileTest = compile_test) -> Shortlist[R]:
    """Make a function of the field values that gives the rules that may match, in the order of the file."""
    always: list[tuple[int, R]] = []
    guarded: dict[Test, list[tuple[int, R]]] = {}
    shared = Counter(test for rule in rules for test in set(_needed(rule)))
    for place, rule in enumerate(rules):
        guard = max(_needed(rule), key=lambda test: shared[test], default=None)
        (always if guard is None else guarded.setdefault(guard, [])).append((place, rule))
    groups = [(compile_one(guard), members) for guard, members in guarded.items()]
    return lambda values: _shortlist(always, groups, values)


def _needed(rule: HasWhen) -> list[Test]:
    """The tests without which the rule cannot match."""
    return [part for part in conjunction(rule.when) if isinstance(part, Test)]


def _shortlist(
    always: list[tuple[int, R]], groups: list[tuple[Matcher, list[tuple[int, R]]]], values: Mapping[str, Any]
) -> list[R]:
    found = list(always)
    for guard, members in groups:
        if guard(values) is not False:  # an unknown guard leaves the rule open
            found += members
    return [rule for _, rule in sorted(found, key=lambda member: member[0])]
