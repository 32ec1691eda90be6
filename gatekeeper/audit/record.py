"""What a judgment saw, in a form that can be stored: values, answers of tests, standing, verdict. Pure.

Of ordinary mail, fields that could name people or subjects are not recorded by value, except those that `audit:
ordinary:` allows; of these fields only the answers of the ruleset's own tests are recorded (policy D4).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action, Evidence, Reason, RuleSelection, Standing, Suspension, Verdict
from gatekeeper.rules.field_kinds import UNAVAILABLE, Kind
from gatekeeper.rules.fields import BY_THE_RULESET, FIELDS, FieldValues
from gatekeeper.rules.matching.compile import compile_test
from gatekeeper.rules.matching.conditions import Matcher, Test, tests_of
from gatekeeper.rules.matching.patterns import FoldedRegex, Glob, Regex
from gatekeeper.rules.matching.rule_index import Shortlist, make_shortlist
from gatekeeper.rules.permit_coverage import uncovered
from gatekeeper.rules.ruleset import Ruleset
from gatekeeper.store.audit_chain import frame_name

ARRIVED, GATHERED, RECHECKED = (
    "arrived",
    "gathered",
    "met",
)  # when the rules were asked; the last: again, as a permit may cover the mailing
RESENT, RETURNED, FAILED = "resent", "returned", "failed"
COUNTS = "counts"  # automatic mail to one recipient: rules about counts alone
UNPROVEN = "unproven"  # all rules, whatever the scope: only From names the sender's agency
_OPEN_STATE = Standing().state
NOT_AVAILABLE = -1  # no field has it for a value: counts and sizes are at least 0

# Fields that name nobody: numbers, flags, parts of the organisation. Other fields are recorded by value only for mail
# that is known by name anyway.
_OPEN = (
    *("users", "external", "people", "agencies", "unresolved", "recipients", "visible", "sender_agency"),
    *("attachments", "attachment_size", "attachment_types", "tnef", "size", "defects", "unsubscribe", "listener"),
    *("from_allowed", "designated", "suspended", "consented", "unlisted", "unconsented"),
)
Encoder = Callable[[Any], Any]
_JSON = json.JSONEncoder(separators=(",", ":")).encode
_WHOLE = (Kind.COUNT, Kind.SIZE, Kind.TEXT, Kind.WORD, Kind.FLAG)


class Record(NamedTuple):
    """One decision as it is stored; `values` and `answers` are in the order of its frame. All values are JSON."""

    at: float  # when it was judged, seconds since 1970
    frame: str
    id: str  # of the transaction, as in the log
    moment: str  # one of the words above
    key: int | None  # of the mailing in the database
    mailing: str | None  # its number
    source: str  # keyed hash of the source's mailbox; "" until it is written
    mass: bool
    asked: bool | str  # which rules, but for the scope: False all, True none, else a word of below
    verdict: str  # of the rules
    done: str  # what was done; differs where the gate only observed
    reasons: list[list[Any]]  # [rule, action], of mail with a name also [cite, text]
    watched: list[str]  # rules that are only observed, and matched
    standing: list[Any] | None
    answers: str  # of each test 1, 0 or ?
    values: list[Any]

    @property
    def judged(self) -> bool:
        """True where rules were asked."""
        return bool(self.frame)

    def line(self) -> bytes:
        """Return the record as a line of JSON."""
        return _JSON(self).encode()


@dataclass(frozen=True)
class Frame:
    """The order of values and answers in the records of one ruleset."""

    ruleset: str  # its digest
    fields: tuple[str, ...]  # whose values every record has
    named: tuple[str, ...]  # whose values come after these, of mail that has a name
    tests: tuple[str, ...]  # keys of the tests that are answered

    @cached_property
    def name(self) -> str:
        """A short digest of the frame."""
        return frame_name(self.text)

    @property
    def text(self) -> str:
        """The frame as it is stored."""
        return json.dumps([self.ruleset, self.fields, self.named, self.tests], separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Frame:
        """Read a frame from its `text`."""
        ruleset, fields, named, tests = json.loads(text)
        return cls(ruleset, tuple(fields), tuple(named), tuple(tests))


def is_whole(name: str) -> bool:
    """Return True for a field that has one value, whatever test reads it."""
    return FIELDS[name].kind in (*_WHOLE, Kind.NAMES, Kind.NETWORK)


def test_key(test: Test) -> str:
    """Return a name for the test, the same for the same test in any ruleset."""
    meaning = f"{test.field} {test.operator} {_canonical(test.operand)}" + (" of every name" * test.of_every_name)
    return f"{test.field}:{blake2b(meaning.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"


def _canonical(operand: Any) -> str:
    if isinstance(operand, tuple | list):
        return "[" + " ".join(map(_canonical, operand)) + "]"
    if isinstance(operand, Regex):
        return f"regex {operand.source!r}"
    if isinstance(operand, FoldedRegex):
        return f"folded {operand.regex.source!r}"
    return f"glob {operand.pieces!r}" if isinstance(operand, Glob) else f"{operand!r}"


@immutable
class DecisionContext:
    """What a record says of a decision besides the judgment itself."""

    id: str
    done: str
    moment: str = ARRIVED
    key: int | None = None
    mailing: str | None = None
    watched: tuple[str, ...] = ()


def record_unjudged(now: datetime, verdict: str, about: DecisionContext) -> Record:
    """Return the record of a transaction about which no rule was asked: a resend, a failure."""
    at, mailing = now.timestamp(), about.mailing
    head = (at, "", about.id, about.moment, about.key, mailing, "", False, False, verdict, about.done)
    return Record(*head, reasons=[], watched=[], standing=None, answers="", values=[])


@immutable
class _RecordedTest:
    """A test whose answer is recorded, and its place among them."""

    place: int
    when: Test
    matches: Matcher


_Steps = tuple[tuple[Callable[[Evidence], Any], Encoder], ...]

# -- making records ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorder:
    """Makes records of one ruleset's judgments."""

    ruleset: Ruleset

    @cached_property
    def frame(self) -> Frame:
        """The order of values and answers in its records."""
        known = [name for name in FIELDS if name not in BY_THE_RULESET and is_whole(name)]
        always = tuple(name for name in known if _is_open(self.ruleset, name))
        rest = tuple(name for name in known if name not in always)
        return Frame(self.ruleset.digest, always, rest, tuple(self._tests))

    def seen(self, evidence: Evidence, *, named: bool) -> tuple[list[Any], str]:
        """Return the values that the rules saw and the answers of their tests, as a record has them."""
        kept = [encode(extract(evidence)) for extract, encode in (self._all if named else self._always)]
        return kept, self._answers(FieldValues(evidence, self.ruleset.draws)) if self._tests else ""

    def _answers(self, values: FieldValues) -> str:
        """Return the answers. One look-up in the rule index tells for many tests that they are false of this mail."""
        answers = [_ANSWERS[False]] * len(self._tests)
        for asked in self._worth_asking(values):
            answers[asked.place] = _ANSWERS[asked.matches(values)]
        return "".join(answers)

    def record(self, evidence: Evidence, verdict: Verdict, now: datetime, about: DecisionContext) -> Record:
        """Return the record of a judgment."""
        named = verdict.mass or verdict.action is Action.HOLD or bool(verdict.permits)
        values, answers = self.seen(evidence, named=named)
        return Record(
            now.timestamp(),
            self.frame.name,
            about.id,
            about.moment,
            about.key,
            about.mailing,
            "",
            verdict.mass,
            _asked(evidence),
            verdict.action.value,
            about.done,
            record_reasons(verdict, named=named) if verdict.reasons else [],
            list(about.watched),
            record_standing(evidence, now),
            answers,
            values,
        )

    @cached_property
    def _tests(self) -> Mapping[str, Test]:
        return {test_key(test): test for test in _answered(self.ruleset)}

    @cached_property
    def _worth_asking(self) -> Shortlist[_RecordedTest]:
        tests = enumerate(self._tests.values())
        return make_shortlist([_RecordedTest(place, test, compile_test(test)) for place, test in tests])

    @cached_property
    def _always(self) -> _Steps:
        return self._steps(self.frame.fields)

    @cached_property
    def _all(self) -> _Steps:
        return (*self._always, *self._steps(self.frame.named))

    def _steps(self, names: tuple[str, ...]) -> _Steps:
        draws = self.ruleset.draws
        return tuple((draws.get(name) or FIELDS[name].extract, encoder(name)) for name in names)


def _asked(evidence: Evidence) -> bool | str:
    """Which rules were asked, or would be by a ruleset whose scope is another."""
    if evidence.rule_selection is RuleSelection.NONE or evidence.rule_selection is RuleSelection.COUNTS:
        return COUNTS if evidence.rule_selection is RuleSelection.COUNTS else True
    return False if evidence.source.proven or evidence.source.agency is None else UNPROVEN


_ANSWERS = {True: "1", False: "0", None: "?"}


def _is_open(ruleset: Ruleset, name: str) -> bool:
    return name in _OPEN or name in ruleset.audit.ordinary


def _answered(ruleset: Ruleset) -> Iterator[Test]:
    """Yield the tests that the values in every record do not answer."""
    for rule in ruleset.rules:
        for condition in (rule.when, rule.unless):
            for test in tests_of(condition) if condition else ():
                by_value = _is_open(ruleset, test.field) and is_whole(test.field) and not test.of_every_name
                if test.field not in BY_THE_RULESET and not by_value:
                    yield test


def record_reasons(verdict: Verdict, *, named: bool) -> list[list[Any]]:
    """Return the reasons of a verdict, with texts only for mail that is known by name: they may quote the message."""
    reasons = verdict.reasons
    if named:
        return [[reason.rule, reason.action.value, reason.cite, reason.text] for reason in reasons]
    return [[reason.rule, reason.action.value] for reason in reasons]


def record_standing(evidence: Evidence, now: datetime) -> list[Any] | None:
    """Return state, held reasons, rules that each permit covered, and suspensions; None where there is none of it."""
    standing = evidence.standing
    if standing.state == _OPEN_STATE and not (standing.reasons or standing.permits or standing.suspensions):
        return None
    permits = [
        [permit.id, sorted(rule for rule in permit.rules if not uncovered(permit, evidence, rule, now))]
        for permit in standing.permits
    ]
    suspensions = [_suspension_row(suspension) for suspension in standing.suspensions]
    return [str(standing.state), [_reason_row(reason) for reason in standing.reasons], permits, suspensions]


def _suspension_row(suspension: Suspension) -> list[Any]:
    who = suspension.who
    scope = [sorted(who.senders), sorted(who.agencies), sorted(who.groups)]
    return [suspension.id, scope, suspension.reason, suspension.until.timestamp()]


def _reason_row(reason: Reason) -> list[Any]:
    return [reason.rule, reason.action.value, reason.cite, reason.text, list(reason.ask), reason.unknown]


# -- values as JSON ----------------------------------------------------------------------------------------------


def encoder(name: str) -> Encoder:
    """Return the function that makes JSON of a field's value."""
    return _ENCODERS.get(FIELDS[name].kind, _encode)


def decoder(name: str) -> Encoder:
    """Return the function that reads a field's value from that JSON."""
    return _DECODERS.get(FIELDS[name].kind, _decode)


def _encode(value: Any) -> Any:
    return NOT_AVAILABLE if value is UNAVAILABLE else value


def _encode_names(value: Any) -> Any:
    return NOT_AVAILABLE if value is UNAVAILABLE else sorted(value or ())


def _encode_network(value: Any) -> Any:
    return _encode(value) if value is UNAVAILABLE or value is None else str(value)


def _decode(value: Any) -> Any:
    return UNAVAILABLE if value == NOT_AVAILABLE else value


def _decode_names(value: Any) -> Any:
    return UNAVAILABLE if value == NOT_AVAILABLE else tuple(value)


def _decode_network(value: Any) -> Any:
    return _decode(value) if value in (None, NOT_AVAILABLE) else ipaddress.ip_address(value)


_ENCODERS: Mapping[Kind, Encoder] = {Kind.NAMES: _encode_names, Kind.NETWORK: _encode_network}
_DECODERS: Mapping[Kind, Encoder] = {Kind.NAMES: _decode_names, Kind.NETWORK: _decode_network}
