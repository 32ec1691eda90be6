"""Find how many people a mailing must reach before a condition on its counts can hold."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.rules.matching.conditions import All, Any_, Condition, Not, Test, tests_of

_COUNTS = ("users", "external", "people", "agencies", "unresolved")  # each at most the number of people
_NEVER = 1 << 62


def least_people(conditions: Iterable[Condition], mass: Condition) -> int:
    """Return the least number of people that a mailing reaches where one of the conditions holds for its counts.

    Below it no count can make a difference, whatever else is true. Conditions that ask for no count are left out.

    Args: `mass` is the condition that the field `mass` stands for.
    """
    of_mass = _least(mass, 0)
    asked = (each for each in conditions if any(test.field in (*_COUNTS, "mass") for test in tests_of(each)))
    return min((_least(each, of_mass) for each in (*asked, mass)), default=_NEVER)


def _least(condition: Condition, of_mass: int) -> int:
    if isinstance(condition, All):
        return max((_least(part, of_mass) for part in condition.parts), default=0)
    if isinstance(condition, Any_):
        return min((_least(part, of_mass) for part in condition.parts), default=_NEVER)
    return 0 if isinstance(condition, Not) else _of_test(condition, of_mass)


def _of_test(test: Test, of_mass: int) -> int:
    if test.field == "mass":
        return of_mass if test.operand else 0
    if test.field in _COUNTS and test.operator == "over":
        return int(test.operand) + 1
    return int(test.operand) if test.field in _COUNTS and test.operator == "at_least" else 0
