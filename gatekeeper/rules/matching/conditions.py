"""Conditions once read: what `when`, `unless`, `mass` and `define` say, as a tree of frozen values.

`compile.py` makes functions of the tree and `explain.py` walks it beside them; `read_conditions.py` builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import EarlierMailings


@immutable
class Test:
    """One test of one field, such as `users: {over: 2000}`."""

    __test__ = False  # not a test of pytest's

    field: str
    operator: str  # a key of language.operators.OPERATORS
    operand: Any  # hashable; as the operator's reader made it: a number, a bool, names, patterns, networks
    text: str  # as people read it: "users over 2000"


@immutable
class All:
    """True where every part is."""

    parts: tuple[Condition, ...]


@immutable
class Any_:
    """True where at least one part is."""

    parts: tuple[Condition, ...]


@immutable
class Not:
    """True where the part is false."""

    part: Condition


Condition = Test | All | Any_ | Not
Matcher = Callable[[Mapping[str, Any]], bool | None]  # field values -> True, False or None for unknown


def conjunction(condition: Condition) -> tuple[Condition, ...]:
    """The parts of which every one must hold."""
    if not isinstance(condition, All):
        return (condition,)
    return tuple(inner for part in condition.parts for inner in conjunction(part))


def tests_of(condition: Condition) -> Iterator[Test]:
    """Walk every test of the condition, in the order of the file."""
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, Not):
        yield from tests_of(condition.part)
    else:
        for part in condition.parts:
            yield from tests_of(part)


def earlier_of(test: Test) -> EarlierMailings:
    """What a test of earlier mailings asks the ledger: to whom, and how far back."""
    given = dict(test.operand)
    return EarlierMailings(given.get("to", ""), given["within"])
