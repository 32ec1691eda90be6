"""Find from which number on a condition about counts can hold: below it, no count needs to be known exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gatekeeper.model import SentQuery
from gatekeeper.rules.field_kinds import OF_THE_ORIGIN
from gatekeeper.rules.matching.conditions import All, Condition, Not, Test, least_of, sent_of

_COUNTS = ("users", "external", "people", "agencies", "unresolved")  # each at most the number of people
_NEVER = 1 << 62


def least_people(conditions: Iterable[Condition], mass: Condition) -> int:
    """Return the least number of people that a mailing reaches where one of the conditions holds for its counts.

    Args: `mass` is the condition that the field `mass` stands for.
    """
    of_mass = _least(mass, _of_count) or 0

    def of_test(test: Test) -> int | None:
        return of_mass if test.field == "mass" else _of_count(test)

    return _least_of_all((*conditions, mass), of_test)


def asks_counts(condition: Condition) -> bool:
    """Return True where a condition may hang on how many people a mailing reaches."""
    return _least(condition, lambda test: 0 if test.field == "mass" else _of_count(test)) is not None


def least_sent(conditions: Iterable[Condition]) -> int:
    """Return the least number of people whom an origin has reached where one of the conditions about it holds."""
    return _least_of_all(conditions, lambda test: least_of(test) if test.field in OF_THE_ORIGIN else None)


def most_sent(tests: Iterable[Test]) -> dict[SentQuery, int]:
    """Return for each query the number from which on all of these tests of it hold, so that more is not asked."""
    most: dict[SentQuery, int] = {}
    for test in tests:
        most[sent_of(test)] = max(least_of(test), most.get(sent_of(test), 0))
    return most


def _least_of_all(conditions: Iterable[Condition], of_test: Callable[[Test], int | None]) -> int:
    found = (_least(each, of_test) for each in conditions)
    return min((each for each in found if each is not None), default=_NEVER)


def _least(condition: Condition, of_test: Callable[[Test], int | None]) -> int | None:
    """Return the least number for a condition; None where it does not ask for any.

    Args: `of_test` returns it for one test.
    """
    if isinstance(condition, Test):
        return of_test(condition)
    if isinstance(condition, Not):
        return None if _least(condition.part, of_test) is None else 0
    found = [least for part in condition.parts if (least := _least(part, of_test)) is not None]
    return (max if isinstance(condition, All) else min)(found, default=None)


def _of_count(test: Test) -> int | None:
    if test.field not in _COUNTS:
        return None
    if test.operator == "over":
        return int(test.operand) + 1
    return int(test.operand) if test.operator == "at_least" else 0
