"""Judge past decisions again, under the same rules or a draft, from their records alone. Pure.

A value that was not recorded leaves a test open, as an unavailable one does; where the verdict depends on that test,
the decision cannot be judged, and the test is named. Decisions that gave the draft the same values are judged once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gatekeeper.audit.record import COUNTS, NOT_AVAILABLE, UNPROVEN, Frame, Record, decoder, is_whole, test_key
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.model import (
    Action,
    Audience,
    Client,
    Counts,
    Evidence,
    Facts,
    Permit,
    Reason,
    Recipient,
    Scope,
    Source,
    Standing,
    Suspension,
    Transaction,
    Verdict,
)
from gatekeeper.rules.field_kinds import UNAVAILABLE
from gatekeeper.rules.fields import BY_THE_RULESET, FIELDS, OF_THE_LEDGER, FieldValues
from gatekeeper.rules.judge import HELD, add_ruleset_fields, judge
from gatekeeper.rules.matching.compile import compile_rule, compile_test
from gatekeeper.rules.matching.conditions import Condition, Matcher, Test, tests_of
from gatekeeper.rules.matching.rule_index import make_shortlist
from gatekeeper.rules.ruleset import Rule, Ruleset

_NOBODY = Audience()
_ANY_NUMBER = 1 << 62
_LEDGER = "suspended"  # recorded of every judgment, and known where the ledger was asked


@immutable
class Replayed:
    """A decision that was judged again.

    Where it depends on a test whose answer was not recorded, `unrecorded_test` is that test's text, and `action` and
    `rules` are of the other rules alone.
    """

    action: Action
    rules: tuple[str, ...] = ()
    unrecorded_test: str = ""
    complete: bool = True  # False where some rule is unknown that could not have changed the action
    ledger_not_asked: bool = False  # the draft would ask for permits and suspensions, which were not read then


class _RecordedValues(FieldValues):
    """The values of a past judgment; what was not recorded is unavailable."""

    __slots__ = ()

    def __missing__(self, name: str) -> Any:
        return UNAVAILABLE


@dataclass
class Replayer:
    """Judges records under one ruleset."""

    draft: Ruleset
    _by_frame: dict[tuple[str, bool], _DraftOnFrame] = field(default_factory=dict)

    def replay(self, record: Record, frame: Frame, standing: Standing | None = None) -> Replayed:
        """Judge a record again; `standing` takes the place of the recorded one."""
        return self._on_frame(record, frame).replay(record, standing)

    def verdict(self, record: Record, frame: Frame, standing: Standing | None = None) -> Verdict:
        """Return the whole verdict, with texts."""
        return self._on_frame(record, frame).judge(record, standing or standing_of(record))

    def _on_frame(self, record: Record, frame: Frame) -> _DraftOnFrame:
        named = len(record.values) > len(frame.fields)
        key = (record.frame, named)
        if key not in self._by_frame:
            self._by_frame[key] = _DraftOnFrame(self.draft, frame, named)
        return self._by_frame[key]


class _DraftOnFrame:
    """The draft, compiled to judge records of one frame.

    Args: `named` is True for records that also hold the values of mail whose sender and subject may be recorded.
    """

    def __init__(self, draft: Ruleset, frame: Frame, named: bool) -> None:
        names = (*frame.fields, *frame.named) if named else frame.fields
        self._place = {name: place for place, name in enumerate(names) if name in FIELDS}
        self._answer = {key: place for place, key in enumerate(frame.tests)}
        self._decoders = {name: decoder(name) for name in self._place}
        self._unrecorded: dict[str, Test] = {}  # rule -> one of its tests whose answer was not recorded
        self._ledger_tests: dict[str, Test] = {}  # rule -> one of its tests that only the ledger answers
        self._during = tuple(rule.during for rule in draft.rules if rule.during is not None)
        self._asks_hours = "working_hours" in draft.reads
        self._draft = self._compiled(draft)
        # A rule that relays gives no reason, so nothing else shows that it is unknown.
        self._has_silent_unknown = any(
            rule.action is Action.RELAY and rule.id in self._unrecorded for rule in draft.rules
        )
        self._values_read, self._answers_read = self._reads(draft)
        self._results: dict[Any, Replayed] = {}

    # -- judging -------------------------------------------------------------------------------------------------

    def replay(self, record: Record, standing: Standing | None) -> Replayed:
        if standing is not None or record.standing is not None:
            return self._judge_again(record, standing or standing_of(record))
        key = self._key(record)
        known = self._results.get(key)
        if known is None:
            known = self._results[key] = self._judge_again(record, Standing())
        return known

    def _key(self, record: Record) -> Any:
        values = record.values
        read = [
            tuple(value) if value.__class__ is list else value for value in map(values.__getitem__, self._values_read)
        ]
        answers = "".join(map(record.answers.__getitem__, self._answers_read))
        now = tuple(during.covers(_time(record)) for during in self._during) if self._during else ()
        hours = self._draft.at_work(_time(record)) if self._asks_hours else None
        return (*read, answers, record.asked, now, hours)

    def judge(self, record: Record, standing: Standing) -> Verdict:
        agency = self._value(record, "sender_agency")
        covered = agency not in self._draft.scope_except or record.asked == UNPROVEN
        evidence = _evidence(record.asked, covered, standing)
        values = _RecordedValues(evidence)
        for name, place in self._place.items():
            values[name] = self._decoders[name](record.values[place])
        for key, place in self._answer.items():
            values[f"?{key}"] = _ANSWERED[record.answers[place]]
        add_ruleset_fields(self._draft, values, _time(record))
        return judge(self._draft, evidence, _time(record), values)

    def _judge_again(self, record: Record, standing: Standing) -> Replayed:
        verdict, asked = self.judge(record, standing), self._was_ledger_asked(record)
        missing = self._unrecorded if asked else {**self._ledger_tests, **self._unrecorded}
        doubtful = [reason for reason in verdict.reasons if reason.unknown and reason.rule in missing]
        not_asked = not asked and verdict.depends_on_ledger
        if not doubtful:
            return Replayed(
                verdict.action, verdict.rules, complete=not self._has_silent_unknown, ledger_not_asked=not_asked
            )
        certain = [reason for reason in verdict.reasons if reason not in doubtful]
        action = _worst(certain, held=standing.state == HELD)
        for reason in doubtful:
            if self._most_severe(reason) > action.severity:
                return Replayed(action, tuple(each.rule for each in certain), missing[reason.rule].text)
        return Replayed(action, tuple(reason.rule for reason in certain), complete=False, ledger_not_asked=not_asked)

    def _was_ledger_asked(self, record: Record) -> bool:
        """Return True where permits and suspensions were read; they are not where no verdict depends on them."""
        place = self._place.get(_LEDGER)
        return place is None or record.values[place] != NOT_AVAILABLE

    def _most_severe(self, reason: Reason) -> int:
        """Return the severity that an unknown rule can have: where it matches, or stays unknown at that time, too."""
        rule = self._draft.rule(reason.rule)
        return max(reason.action.severity, rule.action.severity if rule else 0)

    def _value(self, record: Record, name: str) -> Any:
        place = self._place.get(name)
        return None if place is None else self._decoders[name](record.values[place])

    # -- compiling the draft for the frame -----------------------------------------------------------------------

    def _compiled(self, draft: Ruleset) -> Ruleset:
        rules = tuple(self._compiled_rule(rule) for rule in draft.rules)
        made = replace(draft, rules=rules)
        object.__setattr__(made, "candidates", make_shortlist(rules, self._compile))
        return made

    def _compiled_rule(self, rule: Rule) -> Rule:
        for test in _tests(rule):
            if not self._has_value(test) and test_key(test) not in self._answer:
                self._unrecorded.setdefault(rule.id, test)
            if test.field in OF_THE_LEDGER:
                self._ledger_tests.setdefault(rule.id, test)
        return replace(rule, matches=compile_rule(rule.when, rule.unless, self._compile))

    def _compile(self, test: Test) -> Matcher:
        if self._has_value(test):
            return compile_test(test)
        name = f"?{test_key(test)}"
        return lambda values: values.get(name)

    def _has_value(self, test: Test) -> bool:
        if test.of_every_name and test_key(test) in self._answer:  # the value recorded is the source's alone
            return False
        return test.field in BY_THE_RULESET or (test.field in self._place and is_whole(test.field))

    def _reads(self, draft: Ruleset) -> tuple[list[int], list[int]]:
        """Return the places of the recorded values and answers on which the draft's verdicts depend."""
        tests = [test for rule in draft.rules for test in _tests(rule)]
        fields = {test.field for test in (*tests, *tests_of(draft.mass))} | {"sender_agency", _LEDGER}
        keys = {test_key(test) for test in tests if not self._has_value(test)}
        return (
            sorted(place for name, place in self._place.items() if name in fields),
            sorted(place for key, place in self._answer.items() if key in keys),
        )


_ANSWERED = {"1": True, "0": False, "?": None}


def _tests(rule: Rule) -> Iterator[Test]:
    conditions: tuple[Condition | None, ...] = (rule.when, rule.unless)
    for condition in conditions:
        yield from tests_of(condition) if condition else ()


def _worst(reasons: list[Reason], *, held: bool) -> Action:
    actions = [reason.action for reason in reasons] + ([Action.HOLD] if held else [])
    return max(actions, key=lambda action: action.severity, default=Action.RELAY)


# -- evidence of what was recorded -------------------------------------------------------------------------------


def _time(record: Record) -> datetime:
    return moment_of(record.at)


def standing_of(record: Record) -> Standing:
    """Return the recorded standing; a permit in it covers exactly the rules that it was found to cover."""
    if record.standing is None:
        return Standing()
    state, reasons, permits, *more = record.standing
    return Standing(
        record.mailing,
        state,
        tuple(_reason(row) for row in reasons),
        tuple(_permit(record, id, rules) for id, rules in permits),
        whole=True,
        suspensions=tuple(_suspension(row) for row in (more[0] if more else ())),
    )


def _reason(row: list[Any]) -> Reason:
    rule, action, cite, text, ask, unknown = row
    return Reason(rule, Action(action), cite, text, tuple(ask), unknown)


def _suspension(row: list[Any]) -> Suspension:
    id, (senders, agencies, groups), reason, until = row
    scope = Scope(frozenset(senders), frozenset(agencies), frozenset(groups))
    return Suspension(id, scope, reason, moment_of(until))


def _permit(record: Record, id: str, rules: list[str]) -> Permit:
    nothing: frozenset[str] = frozenset()
    return Permit(id, frozenset(rules), nothing, _ANY_NUMBER, nothing, _time(record) + timedelta(days=1))


def _evidence(asked: bool | str, covered: bool, standing: Standing) -> Evidence:
    automatic = asked in (True, COUNTS)
    transaction = Transaction("", Client(), "" if automatic else "somebody", (Recipient(""),), b"")
    standing = replace(standing, answers=asked is True)
    return Evidence(transaction, Facts(automatic=automatic), _NOBODY, Counts(), standing, Source("", covered=covered))
