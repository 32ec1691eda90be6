"""Compile conditions into functions of the field values that answer True, False, or None for unknown.

The logic is Kleene's: unknown is the answer only where the other parts leave the answer open.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

from gatekeeper.rules.field_kinds import UNAVAILABLE, Field, Kind
from gatekeeper.rules.fields import FIELDS, FieldValues
from gatekeeper.rules.matching.conditions import All, Condition, Matcher, Not, Test, earlier_of, least_of, sent_of

Values = Mapping[str, Any]
CompileTest = Callable[[Test], Matcher]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "over": operator.gt,
    "under": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
    "equal": operator.eq,
}


def compile_condition(condition: Condition, compile_one: CompileTest | None = None) -> Matcher:
    """Make a function of a condition. Args: `compile_one` makes the function of a test; by default `compile_test`."""
    if isinstance(condition, Test):
        return (compile_one or compile_test)(condition)
    if isinstance(condition, Not):
        return _negation(compile_condition(condition.part, compile_one))
    matchers = [compile_condition(part, compile_one) for part in condition.parts]
    if len(matchers) == 1:
        return matchers[0]
    return _combination(matchers, decisive=not isinstance(condition, All))


def compile_rule(when: Condition, unless: Condition | None, compile_one: CompileTest | None = None) -> Matcher:
    """Make the function of a rule: `when` is true and `unless` is not.

    Args: `compile_one` as in `compile_condition`.
    """
    return compile_condition(when if unless is None else All((when, Not(unless))), compile_one)


# -- how answers combine -----------------------------------------------------------------------------------------


def _negation(part: Matcher) -> Matcher:
    def negation(values: Values) -> bool | None:
        answer = part(values)
        return None if answer is None else not answer

    return negation


def _combination(parts: Iterable[Matcher], decisive: bool) -> Matcher:
    """Make a function whose answer is `decisive` where that is some part's, else unknown where some part is."""
    parts = tuple(parts)

    def combination(values: Values) -> bool | None:
        unknown = False
        for part in parts:
            answer = part(values)
            if answer is decisive:
                return decisive
            unknown = unknown or answer is None
        return None if unknown else not decisive

    return combination


# -- single tests ------------------------------------------------------------------------------------------------


def compile_test(test: Test) -> Matcher:
    """Make a function of one test."""
    if test.of_every_name:
        return _of_every_name(compile_test(replace(test, of_every_name=False)))
    field = FIELDS[test.field]
    if field.kind is Kind.REACH:
        return _reach(test)
    if field.kind is Kind.EARLIER:
        return _earlier(test)
    if field.kind is Kind.SENT:
        return _sent(test)
    if test.operator == "missing":
        return _missing(test)
    if isinstance(test.operand, int):  # a number or a flag
        return _comparison(test, field)
    if field.kind in (Kind.COUNT, Kind.SIZE):
        return _one_of_numbers(test)
    if field.kind in (Kind.TEXT, Kind.WORD):
        return _text(test, field)
    return _names(test, field)


def _of_every_name(holds: Matcher) -> Matcher:
    """Make a test that holds where it does of the source and of all names beside it; of none where nobody vouches."""

    def of_every_name(values: Values) -> bool | None:
        answer = holds(values)
        if answer is not True:
            return answer
        beside = cast(FieldValues, values).beside
        return beside is not None and all(holds(each) is True for each in beside)

    return of_every_name


def _reach(test: Test) -> Matcher:
    """Make a test of a list's reach, as a share or a number of its members; unknown for an unknown list."""
    name, options = test.field, dict(test.operand)
    address = options.pop("of")
    ((word, bound),) = options.items()
    compare, is_share = _COMPARE[word], isinstance(bound, Fraction)

    def reach(values: Values) -> bool | None:
        shares = values[name]
        share = None if shares is UNAVAILABLE else shares.get(address)
        if share is None:
            return None
        return share.members > 0 and compare(share.reached, bound * share.members if is_share else bound)

    return reach


def _earlier(test: Test) -> Matcher:
    asked, given = earlier_of(test), dict(test.operand)
    compare, limit = (operator.gt, given["over"]) if "over" in given else (operator.ge, given["at_least"])

    def earlier(values: Values) -> bool | None:
        counted = values["earlier"]
        return None if counted is UNAVAILABLE or asked not in counted else compare(counted[asked], limit)

    return earlier


def _sent(test: Test) -> Matcher:
    """Make a test of how many an origin has reached; where nobody has counted these, of how many the mailing has."""
    name, asked, least = test.field, sent_of(test), least_of(test)
    own = {"sender_people": "people", "sender_agencies": "agencies"}.get(name, "users")

    def sent(values: Values) -> bool | None:
        counted = values[name]
        if counted is UNAVAILABLE:
            return None
        found = counted.get(asked)
        if found is None:
            found = values[own] if own != "agencies" else len(values[own])
        return bool(found >= least)

    return sent


def _missing(test: Test) -> Matcher:
    name, wanted = test.field, test.operand

    def missing(values: Values) -> bool | None:
        value = values[name]
        return None if value is UNAVAILABLE else _is_missing(value) == wanted

    return missing


def _is_missing(value: Any) -> bool:
    """Return True for no value, an empty text and an empty set; 0 and false are values."""
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _comparison(test: Test, field: Field) -> Matcher:
    name, compare, limit = test.field, _COMPARE[test.operator], test.operand

    def comparison(values: Values) -> bool | None:
        value = values[name]
        return None if value is UNAVAILABLE else compare(value, limit)

    def comparison_of_how_many(values: Values) -> bool | None:
        value = values[name]
        return None if value is UNAVAILABLE else compare(len(value), limit)

    return comparison_of_how_many if field.kind is Kind.NAMES else comparison


def _one_of_numbers(test: Test) -> Matcher:
    name, numbers = test.field, test.operand

    def one_of_numbers(values: Values) -> bool | None:
        value = values[name]
        return None if value is UNAVAILABLE else value in numbers

    return one_of_numbers


def _text(test: Test, field: Field) -> Matcher:
    """Make a test of one text, false where there is none: a quicker form of `_names`."""
    name, holds = test.field, _name_test(test, field)

    def text(values: Values) -> bool | None:
        value = values[name]
        return None if value is UNAVAILABLE else bool(value) and holds(value)

    return text


def _names(test: Test, field: Field) -> Matcher:
    """Make a test of names, or of an address; false where there is none."""
    name, one, holds = test.field, field.kind is not Kind.NAMES, _name_test(test, field)
    quantifier = all if test.operator == "only" else any

    def names(values: Values) -> bool | None:
        value = values[name]
        if value is UNAVAILABLE:
            return None
        if not value:
            return False
        return holds(value) if one else quantifier(map(holds, value))

    return names


def _name_test(test: Test, field: Field) -> Callable[[Any], bool]:
    operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    if field.kind is Kind.NETWORK:
        return lambda address: any(address.version == network.version and address in network for network in operands)
    if test.operator in ("like", "matches"):
        if len(operands) == 1:
            return cast(Callable[[str], bool], operands[0].found_in)
        return lambda text: any(pattern.found_in(text) for pattern in operands)
    names = frozenset(str(name).casefold() for name in operands)
    return lambda text: text.casefold() in names
