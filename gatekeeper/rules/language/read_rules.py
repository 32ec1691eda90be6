"""Read `rules` and `define`: conditions, actions, and when a rule is in force."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from gatekeeper.model import Action
from gatekeeper.rules.fields import OF_NAMES
from gatekeeper.rules.language.read_approvers import ASK
from gatekeeper.rules.language.read_conditions import Conditions, Context, define_problem, read_define
from gatekeeper.rules.language.scalars import TEXT, WORD, MessageTemplate, Moment, word_of
from gatekeeper.rules.language.value_types import INVALID, Json, Key, MapOf, Reading, Section
from gatekeeper.rules.language.yaml_nodes import Mapping, Node, Scalar, Sequence
from gatekeeper.rules.matching.compile import compile_rule
from gatekeeper.rules.matching.conditions import guard_names
from gatekeeper.rules.ruleset import Rule
from gatekeeper.rules.specs import During


def _make_during(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if not values:
        return reading.error(node, "expected from or until, or both")
    zone = reading.names.timezone
    begin, end = values.get("from"), values.get("until")
    if isinstance(end, date) and not isinstance(end, datetime):
        end += timedelta(days=1)  # the last day counts
    during = During(*(_aware(value, zone) for value in (begin, end)))
    if during.begin and during.end and during.begin >= during.end:
        return reading.error(node, "until is not after from: expected a time in which the rule is in force")
    return during


def _aware(value: Any, zone: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=zone)
    return datetime.combine(value, time(), zone)


_DURING = Section(
    "when the rule is in force, such as {from: 2026-01-01, until: 2026-12-31}",
    (
        Key("from", Moment(), "Its first day, or the moment from which it is in force."),
        Key("until", Moment(), "Its last day, or the moment at which it ends."),
    ),
    _make_during,
)


def _make_rule(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    action = Action(values.pop("then"))
    observe = values.pop("mode", "enforce") == "observe"
    values.setdefault("say", f"This mail falls under the rule {values['id']}.")
    if values.get("repair") and action is not Action.WARN:
        return reading.error(node, f"repair beside then: {action}: expected it beside then: warn")
    values["when"] = guard_names(values["when"], OF_NAMES)
    if values.get("unless"):
        values["unless"] = guard_names(values["unless"], OF_NAMES, turned=True)
    matches = compile_rule(values["when"], values.get("unless"))
    return Rule(action=action, observe=observe, line=node.line, matches=matches, **values)


_RULE = Section(
    "a rule with id, when and then",
    (
        Key("id", WORD, "Its name, in replies, logs and permits; each once.", required=True),
        Key("cite", TEXT, "The sentence of the policy that it stands for."),
        Key("when", Conditions(), "What it looks for: all of these.", required=True),
        Key("unless", Conditions(Context(turned="unless")), "What takes a match back: all of these."),
        Key("then", word_of(*Action), "What it asks for.", required=True),
        Key("ask", ASK, "Who must agree before a held mailing may leave."),
        Key("say", MessageTemplate(), "What the sender is told, with {placeholders}."),
        Key("during", _DURING, "When it is in force; always where left out."),
        Key("mode", word_of("enforce", "observe"), "observe: it is watched and changes nothing."),
        Key("repair", word_of("blind"), "blind, beside then: warn: hides a visible list."),
    ),
    _make_rule,
)


def _found(node: Node) -> str:
    if isinstance(node, Mapping) and any(key.text in ("id", "when", "then") for key, _ in node.pairs):
        return "a dash is missing before the first key of a rule"
    return "nothing stands here" if isinstance(node, Scalar) and node.empty else f"{node.describe} here"


class Rules:
    """The shape of the list of rules, whose ids must be unique."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a tuple of rules."""
        if not isinstance(node, Sequence):
            return reading.error(node, f"{_found(node)}: expected a list of rules, each beginning with - id:")
        values = tuple(_RULE.read(item, reading) for item in node.items)
        again = self._refuse_same_ids(node, reading)
        return INVALID if again or INVALID in values else values

    def _refuse_same_ids(self, node: Sequence, reading: Reading) -> bool:
        lines: dict[str, int] = {}
        again = False
        for item in node.items:
            name = item.get("id") if isinstance(item, Mapping) else None
            if isinstance(name, Scalar) and lines.setdefault(name.text, name.line) != name.line:
                reading.error(name, f"rule {name.text} again: its id stands in line {lines[name.text]} already")
                again = True
        return again

    def schema(self) -> Json:
        """Return the schema of an array of rules."""
        return {"type": "array", "items": _RULE.schema()}


class Defines:
    """The shape of `define:`. Defines are read where they are used, and here, so that unused ones are checked too."""

    inner = MapOf("conditions by their names, such as everybody: {agencies: {at_least: 10}}", WORD, Conditions())

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the conditions of all defines."""
        if not isinstance(node, Mapping):
            return self.inner.read(node, reading)
        problems = [reading.error(key, text) for key, _ in node.pairs if (text := define_problem(key.text))]
        values = [read_define(key.text, reading).condition for key, _ in node.pairs]
        return INVALID if problems or INVALID in values else values

    def schema(self) -> Json:
        """Return the schema of an object of conditions."""
        return self.inner.schema()
