"""Explain a verdict: every rule with its tests and the values they saw, as text for people and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Counts, Evidence, ListReach, RuleSelection, Verdict
from gatekeeper.rules.field_kinds import UNAVAILABLE, Kind
from gatekeeper.rules.fields import FIELDS, FieldValues
from gatekeeper.rules.judge import field_values, judge, matches
from gatekeeper.rules.matching.compile import compile_condition
from gatekeeper.rules.matching.conditions import All, Any_, Condition, Not, Test
from gatekeeper.rules.ruleset import Rule, Ruleset
from gatekeeper.rules.text_template import LONGEST_VALUE, say_size

_SHOWN_NAMES = 20  # names of a set that are shown before "and N more"


@immutable
class TestTrace:
    """One test or combination of tests: its text, the value it saw, its answer (None: unknown)."""

    __test__ = False  # so that pytest does not collect the class

    text: str
    answer: bool | None
    value: str = ""  # "" for combinations
    parts: tuple[TestTrace, ...] = ()


@immutable
class RuleTrace:
    """One rule: whether it matched (None: unknown), and why."""

    rule: str
    action: str
    cite: str
    answer: bool | None
    in_force: bool  # False outside `during`
    observe: bool
    when: TestTrace
    unless: TestTrace | None = None

    @property
    def result(self) -> str:
        """Return the answer as a word: matched, not or unknown."""
        return {True: "matched", False: "not", None: "unknown"}[self.answer]


@immutable
class Explanation:
    """A verdict with all that led to it."""

    verdict: Verdict
    counts: Counts
    mass: TestTrace
    rules: tuple[RuleTrace, ...]
    covered: bool
    selection: RuleSelection

    def as_dict(self) -> dict[str, Any]:
        """Return the decision with `mass`, `covered` and a trace of every rule, ready for JSON."""
        traces = [
            {
                "rule": trace.rule,
                "action": trace.action,
                "result": trace.result,
                "in_force": trace.in_force,
                "observe": trace.observe,
                "when": _test_as_dict(trace.when),
                "unless": _test_as_dict(trace.unless) if trace.unless else None,
            }
            for trace in self.rules
        ]
        return decision(self.verdict, self.counts) | {
            "mass": bool(self.mass.answer),
            "covered": self.covered,
            "asked": self.selection.value,
            "trace": traces,
        }

    def lines(self) -> Iterator[str]:
        """Yield the trace as lines of text, each rule with its tests below it."""
        for trace in self.rules:
            notes = ("" if trace.in_force else ", not in force") + (", only observed" if trace.observe else "")
            yield f"{trace.rule}: {trace.result} (then {trace.action}{notes})"
            yield from _lines(trace.when, "  ")
            if trace.unless:
                yield "  unless"
                yield from _lines(trace.unless, "    ")


def decision(verdict: Verdict, counts: Counts) -> dict[str, Any]:
    """Return a decision as the commands show it in JSON."""
    reasons = [
        {"rule": reason.rule, "action": str(reason.action), "cite": reason.cite, "text": reason.text}
        for reason in verdict.reasons
    ]
    return {
        "verdict": str(verdict.action),
        "rules": list(verdict.rules),
        "reasons": reasons,
        "users": counts.users,
        "external": counts.external,
        "agencies": sorted(counts.agencies),
    }


def explain(ruleset: Ruleset, evidence: Evidence, now: datetime) -> Explanation:
    """Judge as `judge` does, and return what the tests of each rule saw. Args: `now` is an aware datetime."""
    values = field_values(ruleset, evidence, now)
    return Explanation(
        judge(ruleset, evidence, now),
        evidence.counts,
        _trace(ruleset.mass, values),
        tuple(_trace_rule(rule, values, now) for rule in ruleset.rules),
        evidence.source.covered,
        evidence.rule_selection,
    )


def _trace_rule(rule: Rule, values: FieldValues, now: datetime) -> RuleTrace:
    return RuleTrace(
        rule.id,
        str(rule.action),
        rule.cite,
        matches(rule, values, now),
        rule.during is None or rule.during.covers(now),
        rule.observe,
        _trace(rule.when, values),
        _trace(rule.unless, values) if rule.unless else None,
    )


def _trace(condition: Condition, values: FieldValues) -> TestTrace:
    answer = compile_condition(condition)(values)
    if isinstance(condition, Test):
        return TestTrace(condition.text, answer, _shown(condition.field, values[condition.field]))
    inner = (condition.part,) if isinstance(condition, Not) else condition.parts
    return TestTrace(_COMBINATIONS[type(condition)], answer, parts=tuple(_trace(part, values) for part in inner))


_COMBINATIONS: Mapping[type[Condition], str] = {All: "all of", Any_: "any of", Not: "not"}


# -- how a value is shown ----------------------------------------------------------------------------------------


def _shown(name: str, value: Any) -> str:
    if value is UNAVAILABLE:
        return "unavailable"
    show = _SHOW.get(FIELDS[name].kind, str)
    return "missing" if value is None or value == "" else show(value)


def _show_names(names: Any) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN_NAMES} more" if len(listed) > _SHOWN_NAMES else ""
    return f"{len(listed)}: {', '.join(listed[:_SHOWN_NAMES])}{more}" if listed else "none"


def _show_reach(shares: Mapping[str, ListReach]) -> str:
    listed = (f"{share.reached} of the {share.members} of {address}" for address, share in sorted(shares.items()))
    return ", ".join(listed) or "unavailable"


_SHOW: Mapping[Kind, Callable[[Any], str]] = {
    Kind.NAMES: _show_names,
    Kind.SIZE: say_size,
    Kind.FLAG: lambda flag: "true" if flag else "false",
    Kind.REACH: _show_reach,
    Kind.TEXT: lambda text: text[:LONGEST_VALUE],
}


def _lines(trace: TestTrace, indent: str) -> Iterator[str]:
    answer = {True: "yes", False: "no", None: "unknown"}[trace.answer]
    yield f"{indent}{trace.text}: {answer}" + (f" (it is {trace.value})" if trace.value else "")
    for part in trace.parts:
        yield from _lines(part, indent + "  ")


def _test_as_dict(trace: TestTrace) -> dict[str, Any]:
    answer = {"test": trace.text, "answer": trace.answer}
    if trace.parts:
        return answer | {"parts": [_test_as_dict(part) for part in trace.parts]}
    return answer | {"value": trace.value}
