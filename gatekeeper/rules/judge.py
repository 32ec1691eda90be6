"""Judge one message of a mailing by all rules. Pure: the same evidence, rules and time give the same verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gatekeeper.model import Action, Evidence, Permit, Reason, RuleSelection, Verdict
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.fields import FIELDS, FieldValues
from gatekeeper.rules.matching.conditions import tests_of
from gatekeeper.rules.permit_coverage import by_preference, is_relevant, uncovered, was_given_for
from gatekeeper.rules.permit_notes import split_notes
from gatekeeper.rules.ruleset import Rule, Ruleset
from gatekeeper.rules.text_template import render, shown_value

HELD = "held"
SUSPENDED = "suspended"  # the id of the built-in rule about suspended senders
SENDER_DOMAINS = "sender-domains"  # what stands among observed rules for who passes only because the gate observes
_OF_NAMES = ("from_allowed", "from_problem")
_OF_CONTENT = frozenset(  # fields of what the sender can put right in the message
    (
        *("visible", "subject", "from", "from_allowed", "from_problem", "links", "size", "defects", "list_id"),
        *("attachments", "attachment_size", "attachment_names", "attachment_types", "tnef", "unsubscribe"),
    )
)
_NOTHING, _NOTHING_OF_MASS_MAIL = Verdict(), Verdict(mass=True)


def judge(ruleset: Ruleset, evidence: Evidence, now: datetime, values: FieldValues | None = None) -> Verdict:
    """Judge a transaction, with the counts and the standing of its mailing, at the time `now` (an aware datetime).

    All rules are evaluated and every matching rule is a reason; the most severe action wins (docs/flow.md). A held
    mailing stays held, for the reasons it is held for. A permit that covers a hold clears it.

    Args: `values` are the field values of a past judgment that is made again; by default they are read from the
    evidence.
    """
    selection = evidence.rule_selection
    if selection is RuleSelection.NONE:
        return _NOTHING
    values = field_values(ruleset, evidence, now) if values is None else values
    mass = values["mass"] is True
    reasons = [
        reason
        for rule in ruleset.candidates(values)
        if not rule.observe and _is_selected(rule, selection) and (reason := _apply(ruleset, rule, values, now))
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
    lasting, mendable = _lasting(ruleset, remaining) if action is Action.REJECT else ((), ())
    return Verdict(action, tuple(remaining), mass, permits, lasting, mendable)


def _lasting(ruleset: Ruleset, reasons: list[Reason]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the rules that refuse for how far the mailing reaches, and those of them about the message as well.

    What one part is refused for in this way, the rest of its mailing is refused for too.
    """
    refusing = [ruleset.rule(reason.rule) for reason in reasons if reason.action is Action.REJECT]
    asked = {rule.id: {test.field for test in rule.tests()} for rule in refusing if rule}
    lasting = [name for name, fields in asked.items() if any(map(_is_of_mailing, fields))]
    suspended = [reason.rule for reason in reasons if reason.rule == SUSPENDED]
    return (*lasting, *suspended), tuple(name for name in lasting if not _OF_CONTENT.isdisjoint(asked[name]))


def _is_of_mailing(name: str) -> bool:
    return FIELDS[name].growing and FIELDS[name].subject == "mailing"


def is_mass(ruleset: Ruleset, evidence: Evidence) -> bool:
    """Return True where the mailing is a mass mailing by the ruleset's `mass:` condition."""
    return bool(ruleset.mass_matches(FieldValues(evidence)))


def observed(ruleset: Ruleset, evidence: Evidence, now: datetime) -> tuple[str, ...]:
    """Return the ids of the rules with `mode: observe` that match: they are recorded and change nothing."""
    selection = evidence.rule_selection
    if not ruleset.observes or selection is RuleSelection.NONE:
        return ()
    values = field_values(ruleset, evidence, now)
    return tuple(
        rule.id
        for rule in ruleset.candidates(values)
        if rule.observe and _is_selected(rule, selection) and matches(rule, values, now)
    )


def field_values(ruleset: Ruleset, evidence: Evidence, now: datetime) -> FieldValues:
    """Return the values that the rules look at, with `mass` and `working_hours`, which depend on the ruleset."""
    values = FieldValues(evidence, ruleset.draws)
    add_ruleset_fields(ruleset, values, now)
    return values


def add_ruleset_fields(ruleset: Ruleset, values: FieldValues, now: datetime) -> None:
    """Add the values of the fields `BY_THE_RULESET`, which are computed from the ruleset, other values and the time."""
    if "working_hours" in ruleset.reads:
        values["working_hours"] = ruleset.at_work(now)
    mass = ruleset.mass_matches(values)
    values["mass"] = UNAVAILABLE if mass is None else mass


def matches(rule: Rule, values: FieldValues, now: datetime) -> bool | None:
    """Return whether the rule matches: True, False, or None where an unavailable field leaves that open."""
    if rule.during is not None and not rule.during.covers(now):
        return False
    return rule.matches(values)


def _is_selected(rule: Rule, selection: RuleSelection) -> bool:
    """Return True for a rule that is evaluated under this selection.

    NAMES is for mail of senders outside the scope (M9), to whom rules about names still apply (C5). COUNTS is for
    automatic mail to one recipient.
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
    """Return the reason of an unknown rule, on the safe side: mass mail is held for people, other mail is deferred."""
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
    """Return the reasons that a held mailing is held for and that this batch does not have itself."""
    if evidence.standing.state != HELD:
        return []
    known = {(reason.rule, reason.action) for reason in reasons}
    return [reason for reason in evidence.standing.reasons if (reason.rule, reason.action) not in known]


def _held_without_a_reason(evidence: Evidence, reasons: list[Reason]) -> bool:
    """Return True for a held mailing without a hold that a permit could clear, which only people can release."""
    return evidence.standing.state == HELD and not any(reason.action is Action.HOLD for reason in reasons)


def _suspended(ruleset: Ruleset, evidence: Evidence, mass: bool) -> list[Reason]:
    """Return the refusal of a suspended sender's mass mail (C10), unless the ruleset has a rule of its own for that."""
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
    """Return the date of a moment in the ruleset's time zone."""
    return f"{moment.astimezone(ruleset.timezone):%Y-%m-%d}"


def _clear(reasons: list[Reason], evidence: Evidence, now: datetime) -> tuple[list[Reason], tuple[str, ...]]:
    """Remove the holds that a permit covers, and note in the others how the mailing differs from the permits."""
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
    """Add to a hold's text how the mailing differs from the permits meant for it, at most the nearest two.

    Permits for the mailing's subject, or that it has used, are the nearest, however much differs.
    """
    if reason.action is not Action.HOLD:
        return reason
    notes = [
        ((not was_given_for(permit, evidence), len(found)), f"not covered by {permit.id}: {'; '.join(found)}")
        for permit in permits
        if reason.rule in permit.rules and is_relevant(permit, evidence, now)
        for found in [uncovered(permit, evidence, reason.rule, now)]
    ]
    nearest = [note for _, note in sorted(notes, key=lambda each: each[0])[:2]]
    bare = _without_notes(reason.text)
    text = f"{bare} ({'; '.join(nearest)})".lstrip() if nearest else bare
    return replace(reason, text=text)


def _without_notes(text: str) -> str:
    """Return the text without the notes that an earlier judgment added."""
    return split_notes(text)[0]
