"""The verdict: what all the rules together say about one message of a mailing. Pure; read it downward."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gatekeeper.model import Action, Evidence, Permit, Reason, RuleSelection, Verdict
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.fields import FIELDS, FieldValues
from gatekeeper.rules.matching.conditions import tests_of
from gatekeeper.rules.permit_coverage import by_preference, is_relevant, uncovered, was_given_for
from gatekeeper.rules.ruleset import Rule, Ruleset
from gatekeeper.rules.text_template import render, shown_value

HELD = "held"
SUSPENDED = "suspended"  # the one rule that no file needs to have
_OF_NAMES = ("from_allowed", "from_problem")
_NOTHING, _NOTHING_OF_MASS_MAIL = Verdict(), Verdict(mass=True)


def judge(ruleset: Ruleset, evidence: Evidence, now: datetime, values: FieldValues | None = None) -> Verdict:
    """Judge a transaction, with the counts and the standing of its mailing, at the time `now` (an aware datetime).

    All rules are evaluated and every matching one is a reason; the most severe action wins (DESIGN 3.6). A mailing that
    is held stays held, with the reasons it is held for. A hold is cleared by a permit that covers it.

    Args: `values` are those of a past judgment that is made again; else they are drawn from the evidence.
    """
    selection = evidence.rule_selection
    if selection is RuleSelection.NONE:
        return _NOTHING
    values = field_values(ruleset, evidence, now) if values is None else values
    mass = values["mass"] is True
    reasons = [
        reason
        for rule in ruleset.candidates(values)
        if not rule.observe and is_selected(rule, selection) and (reason := _apply(ruleset, rule, values, now))
    ]
    if selection is RuleSelection.NAMES and not reasons:
        return _NOTHING
    reasons += _suspended(ruleset, evidence, mass) if selection is RuleSelection.ALL else []
    reasons += _held_for(evidence, reasons)
    if not reasons and evidence.standing.state != HELD:
        return _NOTHING_OF_MASS_MAIL if mass else _NOTHING
    remaining, permits = _clear(reasons, evidence, now)
    action = max((reason.action for reason in remaining), key=lambda action: action.severity, default=Action.RELAY)
    if _held_without_a_reason(evidence, reasons) and action.severity < Action.HOLD.severity:
        action = Action.HOLD
    return Verdict(action, tuple(remaining), mass, permits)


def is_mass(ruleset: Ruleset, evidence: Evidence) -> bool:
    """True where the mailing is a mass mailing by the ruleset's `mass:` condition."""
    return bool(ruleset.mass_matches(FieldValues(evidence)))


def observed(ruleset: Ruleset, evidence: Evidence, now: datetime) -> tuple[str, ...]:
    """Ids of the rules with `mode: observe` that match: they are watched and change nothing."""
    selection = evidence.rule_selection
    if not ruleset.observes or selection is RuleSelection.NONE:
        return ()
    values = field_values(ruleset, evidence, now)
    return tuple(
        rule.id
        for rule in ruleset.candidates(values)
        if rule.observe and is_selected(rule, selection) and matches(rule, values, now)
    )


def field_values(ruleset: Ruleset, evidence: Evidence, now: datetime) -> FieldValues:
    """The values that the rules look at, with `mass` and `working_hours`, which only the ruleset can tell."""
    values = FieldValues(evidence, ruleset.draws)
    add_ruleset_fields(ruleset, values, now)
    return values


def add_ruleset_fields(ruleset: Ruleset, values: FieldValues, now: datetime) -> None:
    """Add what the ruleset tells itself: the fields `BY_THE_RULESET`."""
    if "working_hours" in ruleset.reads:
        values["working_hours"] = ruleset.at_work(now)
    mass = ruleset.mass_matches(values)
    values["mass"] = UNAVAILABLE if mass is None else mass


def matches(rule: Rule, values: FieldValues, now: datetime) -> bool | None:
    """Whether the rule matches: True, False, or None where an unavailable field leaves it open."""
    if rule.during is not None and not rule.during.covers(now):
        return False
    return rule.matches(values)


def is_selected(rule: Rule, selection: RuleSelection) -> bool:
    """True for a rule that is asked about such mail.

    NAMES is of senders outside the scope (M9), whom rules about names still bind (C5); COUNTS is of automatic mail to
    one recipient.
    """
    if selection is RuleSelection.ALL:
        return True
    fields = {test.field for test in rule.tests()}
    if selection is RuleSelection.NAMES:
        return not fields.isdisjoint(_OF_NAMES)
    return selection is RuleSelection.COUNTS and bool(fields) and all(FIELDS[name].growing for name in fields)


# -- one rule ----------------------------------------------------------------------------------------------------


def _apply(ruleset: Ruleset, rule: Rule, values: FieldValues, now: datetime) -> Reason | None:
    matched = matches(rule, values, now)
    if matched is False:
        return None
    if matched is None:
        return _unknown(rule, values)
    text = _text(ruleset, rule, values)
    return Reason(rule.id, rule.action, rule.cite, text, _ask(rule, rule.action), repair=rule.repair or "")


def _unknown(rule: Rule, values: FieldValues) -> Reason | None:
    """A rule that cannot be told errs to the safe side: mass mail waits for people, other mail is tried again."""
    if rule.action is Action.RELAY:
        return None
    careful = Action.HOLD if values["mass"] is True else Action.DEFER
    action = Action.WARN if rule.action is Action.WARN else careful
    return Reason(rule.id, action, rule.cite, _unknown_text(rule, values), _ask(rule, action), unknown=True)


def _unknown_text(rule: Rule, values: FieldValues) -> str:
    fields = {test.field for part in (rule.when, rule.unless) if part for test in tests_of(part)}
    missing = sorted(name for name in fields if values[name] is UNAVAILABLE or name == "reach")
    return f"Rule {rule.id} could not be checked: {', '.join(missing)} cannot be told now."


def _ask(rule: Rule, action: Action) -> tuple[str, ...]:
    return tuple(str(term) for term in rule.ask) if action is Action.HOLD else ()


def _text(ruleset: Ruleset, rule: Rule, values: FieldValues) -> str:
    own = {"contact": ruleset.contact, "title": ruleset.title, "cite": rule.cite, "rule": rule.id}
    return render(rule.say, lambda name: own[name] if name in own else shown_value(name, values))


# -- what the ledger adds ----------------------------------------------------------------------------------------


def _held_for(evidence: Evidence, reasons: list[Reason]) -> list[Reason]:
    """What a held mailing is held for, but for the rules that match this batch as well: it takes in later batches."""
    if evidence.standing.state != HELD:
        return []
    known = {(reason.rule, reason.action) for reason in reasons}
    return [reason for reason in evidence.standing.reasons if (reason.rule, reason.action) not in known]


def _held_without_a_reason(evidence: Evidence, reasons: list[Reason]) -> bool:
    """A held mailing with nothing a permit could answer stays held: only people can let it go."""
    return evidence.standing.state == HELD and not any(reason.action is Action.HOLD for reason in reasons)


def _suspended(ruleset: Ruleset, evidence: Evidence, mass: bool) -> list[Reason]:
    """A suspended sender's mass mail is refused (C10), unless the ruleset has a rule of its own about it."""
    if not mass or ruleset.reads_suspended:
        return []
    return [
        Reason(
            SUSPENDED,
            Action.REJECT,
            text=f"Mass mail from {suspension.who} is suspended until {_day(ruleset, suspension.until)}: "
            f"{suspension.reason}",
        )
        for suspension in evidence.standing.suspensions[:1]
    ]


def _day(ruleset: Ruleset, moment: datetime) -> str:
    """The day of a moment, by the organisation's clock."""
    return f"{moment.astimezone(ruleset.timezone):%Y-%m-%d}"


def _clear(reasons: list[Reason], evidence: Evidence, now: datetime) -> tuple[list[Reason], tuple[str, ...]]:
    """Take away the holds that a permit covers; tell the others how they differ from what was permitted."""
    remaining, permits = [], dict[str, None]()
    tried = by_preference(evidence.standing.permits)
    for reason in reasons:
        permit = _covering(reason, tried, evidence, now)
        if permit is None:
            remaining.append(_with_differences(reason, tried, evidence, now))
        else:
            permits[permit] = None
    return remaining, tuple(permits)


def _covering(reason: Reason, permits: list[Permit], evidence: Evidence, now: datetime) -> str | None:
    if reason.action is not Action.HOLD:
        return None
    return next((permit.id for permit in permits if not uncovered(permit, evidence, reason.rule, now)), None)


def _with_differences(reason: Reason, permits: list[Permit], evidence: Evidence, now: datetime) -> Reason:
    """Say how the mailing differs from the permits that were meant for it: of several, the nearest two.

    Nearest is one of its own subject, or that it has used, however much differs.
    """
    if reason.action is not Action.HOLD:
        return reason
    told = [
        ((not was_given_for(permit, evidence), len(found)), f"not covered by {permit.id}: {'; '.join(found)}")
        for permit in permits
        if reason.rule in permit.rules and is_relevant(permit, evidence, now)
        for found in [uncovered(permit, evidence, reason.rule, now)]
    ]
    nearest = [note for _, note in sorted(told, key=lambda each: each[0])[:2]]
    bare = _without_notes(reason.text)
    text = f"{bare} ({'; '.join(nearest)})".lstrip() if nearest else bare
    return replace(reason, text=text)


def _without_notes(text: str) -> str:
    """A standing reason may carry notes of an earlier judgment."""
    return text.partition(" (not covered by P-")[0] if text.endswith(")") else text
