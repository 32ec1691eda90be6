"""The conditions of `when`, `unless`, `mass` and `define`, as a tree of frozen values.

`language/read_conditions.py` builds the tree, `compile.py` makes functions of it, and `explain.py` walks it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import EarlierMailings, SentQuery


@immutable
class Test:
    """One test of one field, such as `users: {over: 2000}`."""

    __test__ = False  # so that pytest does not collect the class

    field: str
    operator: str  # a key of language.operators.OPERATORS
    operand: Any  # hashable, from the operator's reader: a number, a bool, names, patterns, networks
    text: str  # as people read it: "users over 2000"
    of_every_name: bool = False  # holds only where it does of each name that the message is sent under


@immutable
class All:
    """A combination that is true where every part is true."""

    parts: tuple[Condition, ...]


@immutable
class Any_:
    """A combination that is true where at least one part is true."""

    parts: tuple[Condition, ...]


@immutable
class Not:
    """A negation, which is true where its part is false."""

    part: Condition


Condition = Test | All | Any_ | Not
Matcher = Callable[[Mapping[str, Any]], bool | None]  # field values -> True, False or None for unknown


def conjunction(condition: Condition) -> tuple[Condition, ...]:
    """Return the parts that must all be true for the condition to be true."""
    if not isinstance(condition, All):
        return (condition,)
    return tuple(inner for part in condition.parts for inner in conjunction(part))


def guard_names(condition: Condition, fields: Collection[str], *, turned: bool = False) -> Condition:
    """Return the condition with its turned tests of these fields asked of every name that a message is sent under.

    A test is turned behind `not` or `unless`: where it holds, a rule does not match, which a From alone must not bring
    about. Behind two of them it is not.
    """
    if isinstance(condition, Test):
        return replace(condition, of_every_name=True) if turned and condition.field in fields else condition
    if isinstance(condition, Not):
        return Not(guard_names(condition.part, fields, turned=not turned))
    return type(condition)(tuple(guard_names(part, fields, turned=turned) for part in condition.parts))


def tests_of(condition: Condition) -> Iterator[Test]:
    """Yield every test of the condition, in the order of the file."""
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, Not):
        yield from tests_of(condition.part)
    else:
        for part in condition.parts:
            yield from tests_of(part)


def earlier_of(test: Test) -> EarlierMailings:
    """Return what a test of earlier mailings asks the ledger: to whom, and how far back."""
    given = dict(test.operand)
    return EarlierMailings(given.get("to", ""), given["within"])


def sent_of(test: Test) -> SentQuery:
    """Return what a test of an origin asks: what to count, and how far back."""
    return SentQuery(test.field, dict(test.operand)["within"])


def least_of(test: Test) -> int:
    """Return the least number at which a test with `over` or `at_least` among its options holds."""
    given = dict(test.operand)
    return int(given["over"]) + 1 if "over" in given else int(given["at_least"])
