"""Read the conditions of `when`, `unless`, `mass` and `define`, and check each where it stands.

A count that grows while a mailing comes in admits no test whose answer could turn from yes to no: `under` and similar
tests, or any test of such a count that `not` or `unless` negates (docs/rules.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.rules.field_kinds import Field, Kind
from gatekeeper.rules.fields import FIELDS
from gatekeeper.rules.language.advice import did_you_mean, of_bound
from gatekeeper.rules.language.operators import flips, operands
from gatekeeper.rules.language.value_types import INVALID, Define, Failed, Json, Reading, shown
from gatekeeper.rules.language.yaml_nodes import Mapping, Node, Scalar, Sequence, duplicate_keys
from gatekeeper.rules.matching.conditions import All, Any_, Condition, Not, Test, tests_of

COMBINATIONS = ("all", "any", "not")
_MOST_TESTS = 5000  # tests of one file; those of a define count at each use
_DEEPEST_DEFINES = 10
_TOO_DEEP = f"defines within defines more than {_DEEPEST_DEFINES} deep: expected fewer"
_TOO_MANY = f"more than {_MOST_TESTS} tests once defines are written out: expected far fewer"
_CONSENTED = (
    "consented would turn from yes to no in mid-mailing: expected consented: false under when, or consented: true "
    "under unless or not"
)
_TURNS = "{} grows while the mailing comes in, so that this answer would turn from yes to no in mid-mailing"
_EXPECTED = "conditions, such as {users: {over: 2000}}"


@immutable
class Context:
    """Where the condition being read stands."""

    turned: str = ""  # "not" or "unless" where one of them negates the answer
    counts_only: bool = False  # under `mass`


class Conditions:
    """The shape of a condition."""

    def __init__(self, context: Context = Context()) -> None:  # noqa: B008 - immutable
        self.context = context

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a Condition, or INVALID."""
        return _read(node, reading, self.context)

    def schema(self) -> Json:
        """Return a reference to the condition in the schema's definitions."""
        return {"$ref": "#/$defs/condition"}


def _read(node: Node, reading: Reading, context: Context) -> Condition | Failed:
    if isinstance(node, Scalar) and not node.empty:
        return _use_define(node, reading, context)
    if isinstance(node, Mapping) and node.pairs:
        return _read_mapping(node, reading, context)
    found = "a list" if isinstance(node, Sequence) else "nothing stands"
    hint = "; put a list under any, all or not" if isinstance(node, Sequence) else ""
    return reading.error(node, f"{found} here: expected {_EXPECTED}{hint}")


def _read_mapping(node: Mapping, reading: Reading, context: Context) -> Condition | Failed:
    for key, first in duplicate_keys(node):
        reading.error(key, f"{shown(key.text)} again: it stands in line {first.line} already, put both under all")
    parts = [_read_pair(key, value, reading, context) for key, value in node.pairs]
    return _together(All, parts)


def _together(kind: type[All] | type[Any_], parts: list[Condition | Failed]) -> Condition | Failed:
    whole = tuple(part for part in parts if not isinstance(part, Failed))
    if len(whole) < len(parts):
        return INVALID
    return whole[0] if len(whole) == 1 else kind(whole)


def _read_pair(key: Scalar, value: Node, reading: Reading, context: Context) -> Condition | Failed:
    if key.text in COMBINATIONS:
        return _read_combination(key, value, reading, context)
    if key.text in FIELDS:
        return _read_field(key, value, reading, context)
    if key.text in reading.names.defines:
        return _read_define_test(key, value, reading, context)
    known = (*FIELDS, *COMBINATIONS, *reading.names.defines)
    hint = did_you_mean(key.text, known)
    return reading.error(key, f"unknown field {shown(key.text)}: expected a field, any, all, not or a define{hint}")


# -- any, all, not -----------------------------------------------------------------------------------------------


def _read_combination(key: Scalar, value: Node, reading: Reading, context: Context) -> Condition | Failed:
    if key.text == "not":
        return _read_not(key, value, reading, context)
    if not isinstance(value, Sequence) or not value.items:
        return reading.error(value, f"{value.describe} here: expected a list of conditions under {key.text}")
    parts = [_read(item, reading, context) for item in value.items]
    return _together(All if key.text == "all" else Any_, parts)


def _read_not(key: Scalar, value: Node, reading: Reading, context: Context) -> Condition | Failed:
    """Read `not`; a list under `not` means none of its conditions."""
    if context.counts_only:
        return reading.error(key, "not under mass: expected counts with over or at_least")
    inside = Context(turned=context.turned or "not")
    if isinstance(value, Sequence) and value.items:
        part = _together(Any_, [_read(item, reading, inside) for item in value.items])
    else:
        part = _read(value, reading, inside)
    return part if isinstance(part, Failed) else Not(part)


# -- defines -----------------------------------------------------------------------------------------------------


def _read_define_test(key: Scalar, value: Node, reading: Reading, context: Context) -> Condition | Failed:
    if not isinstance(value, Scalar) or value.text.lower() not in ("true", "yes"):
        return reading.error(value, f"expected true beside define {key.text}; for its opposite write not: {key.text}")
    return _use_define(key, reading, context)


def _use_define(node: Scalar, reading: Reading, context: Context) -> Condition | Failed:
    name = node.text
    if name not in reading.names.defines:
        hint = did_you_mean(name, reading.names.defines)
        return reading.error(node, f"{shown(name)}: expected {_EXPECTED}, or the name of a define{hint}")
    if name in reading.defining:
        return reading.error(node, f"define {name} refers to itself: expected an end to it")
    if len(reading.defining) >= _DEEPEST_DEFINES:
        return reading.error(node, _TOO_DEEP)
    define = read_define(name, reading)
    if isinstance(define.condition, Failed):
        return INVALID  # reported where the define stands
    problem = _objection_to_define(define, reading, context)
    return reading.error(node, problem.replace("{}", name)) if problem else define.condition


def _objection_to_define(define: Define, reading: Reading, context: Context) -> str | None:
    if define.level > _DEEPEST_DEFINES:
        return _TOO_DEEP
    if reading.tests > _MOST_TESTS:
        return _TOO_MANY
    assert not isinstance(define.condition, Failed)
    tests = tuple(tests_of(define.condition))
    if not reading.defining and any(_flips_consent(test.field, test.operand, context) for test in tests):
        return f"define {{}}: {_CONSENTED}"
    problems = (_objection(FIELDS[test.field], test.operator, context) for test in tests)
    return next((f"define {{}}: {problem}" for problem in problems if problem), None)


def define_problem(name: str) -> str | None:
    """Return why a define may not have that name; None where it may."""
    taken = name in FIELDS or name in COMBINATIONS
    return f"define {name}: expected a name that is not that of a field, any, all or not" if taken else None


def read_define(name: str, reading: Reading) -> Define:
    """Read a define once. Its tests are counted at each use, so that defines of defines cannot explode."""
    if name in reading.defines:
        define = reading.defines[name]
        reading.tests += define.tests
    else:
        define = reading.defines[name] = _read_define(name, reading)
    reading.level = max(reading.level, define.level)
    return define


def _read_define(name: str, reading: Reading) -> Define:
    tests, level = reading.tests, reading.level
    reading.level = 0
    reading.defining.append(name)
    condition = _read(reading.names.defines[name], reading, Context())
    reading.defining.pop()
    define = Define(condition, reading.tests - tests, reading.level + 1)
    reading.level = level
    return define


# -- fields ------------------------------------------------------------------------------------------------------


def _read_field(key: Scalar, value: Node, reading: Reading, context: Context) -> Condition | Failed:
    field = FIELDS[key.text]
    admitted = operands(field)
    if "whole" in admitted:
        return _read_test(field, _GivenTest("whole", value, value), reading, context)
    if isinstance(value, Sequence):
        return reading.error(value, f"a list beside {field.name}: expected a value or a test, such as in: [...]")
    if isinstance(value, Scalar):
        if flips(field, "equal") and (advice := of_bound(field.name, value.text)):
            return reading.error(value, f"{advice}; {_TURNS.format(field.name)}")
        return _read_test(field, _GivenTest("equal", value, value), reading, context)
    if not value.pairs:
        return reading.error(value, f"no test of {field.name}: expected one of {_listed(field)}")
    for again, first in duplicate_keys(value):
        reading.error(again, f"{shown(again.text)} again: it stands in line {first.line} already, expected once")
    if number := _cut_number(value):
        return reading.error(number, f"write {number.text}, without the comma: here a comma begins the next test")
    parts = [_read_test(field, _GivenTest(name.text, name, operand), reading, context) for name, operand in value.pairs]
    return _together(All, parts)


def _cut_number(node: Mapping) -> Scalar | None:
    """Return the number of `{over: 2,000}`, which YAML cuts in two; None where nothing is cut."""
    for (_, before), (key, value) in pairwise(node.pairs):
        cut = key.text.isdecimal() and isinstance(value, Scalar) and value.empty
        if cut and isinstance(before, Scalar) and before.text.isdecimal():
            return Scalar(before.line, before.column, before.text + key.text)
    return None


def _listed(field: Field) -> str:
    return ", ".join(name for name in operands(field) if name not in ("equal", "whole"))


@immutable
class _GivenTest:
    """A test as it stands in the file: `equal` where a value stands alone, `whole` for a section."""

    operator: str
    place: Node  # of the operator; the value itself where no operator is written
    value: Node


def _read_test(field: Field, given: _GivenTest, reading: Reading, context: Context) -> Condition | Failed:
    operator, place, value = given.operator, given.place, given.value
    shape = operands(field).get(operator)
    if shape is None or (operator == "equal" and place is not value):
        hint = did_you_mean(operator, operands(field))
        expected = f"expected one of {_listed(field)}" if _listed(field) else "expected true or false"
        return reading.error(place, f"{shown(operator)} is no test of {field.name}{hint}: {expected}")
    problem = _objection(field, operator, context)
    if problem:
        return reading.error(place, problem)
    reading.tests += 1
    if reading.tests > _MOST_TESTS:
        return reading.error(place, _TOO_MANY)
    operand = shape.read(value, reading)
    if isinstance(operand, Failed):
        return operand
    if field.name == "mass" and operand is False:
        return reading.error(
            value, "mass: false would turn from yes to no in mid-mailing: expected true, or no test of mass"
        )
    if not reading.defining and _flips_consent(field.name, operand, context):
        return reading.error(value, _CONSENTED)
    return Test(field.name, operator, operand, _test_text(field, operator, value))


def _objection(field: Field, operator: str, context: Context) -> str | None:
    """Return why the test may not stand here; None where it may."""
    if context.counts_only and (not _is_count(field) or operator not in ("over", "at_least")):
        return (
            f"{operator} of {field.name} under mass: expected users, external, people or agencies with over or at_least"
        )
    if field.growing and context.turned:
        return (
            f"{field.name} under {context.turned}: it grows while the mailing comes in, so the answer would turn from "
            f"yes to no in mid-mailing: expected over or at_least under when"
        )
    if flips(field, operator):
        word = "a value alone" if operator == "equal" else operator
        allowed = "over, at_least or includes" if field.kind is Kind.NAMES else "over or at_least"
        return f"{word} beside {field.name}: expected {allowed}; {_TURNS.format(field.name)}"
    return None


def _flips_consent(name: str, operand: Any, context: Context) -> bool:
    """Return True where the answer could turn from yes to no, because a growing mailing can only lose consent."""
    return name == "consented" and operand is not bool(context.turned)


def _is_count(field: Field) -> bool:
    return field.growing and field.kind in (Kind.COUNT, Kind.NAMES)


# -- the text of a test ------------------------------------------------------------------------------------------


def _test_text(field: Field, operator: str, value: Node) -> str:
    if field.name == "mass":
        return "mass"
    words = {"equal": "is", "whole": "", "missing": "missing:"}.get(operator, operator.replace("_", " "))
    return " ".join(filter(None, (field.name, words, _source(value))))


def _source(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.text[:100]
    if isinstance(node, Sequence):
        more = ", ..." if len(node.items) > 5 else ""
        return ", ".join(_source(item) for item in node.items[:5]) + more
    return ", ".join(f"{key.text} {_source(value)}" for key, value in node.pairs)
