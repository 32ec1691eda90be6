"""Add up the records of a period: by agency, sender, rule and month, and what would have been stopped. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from gatekeeper.audit.record import RECHECKED, Frame, Record
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action

_STOPS = (Action.HOLD.value, Action.REJECT.value, Action.DEFER.value)
NO_AGENCY = "(none)"


@dataclass(slots=True)
class ComplianceShare:
    """The share of one agency or sender: mailings by number, or messages by id where they have none."""

    messages: int = 0
    mailings: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    would_be_held: set[str] = field(default_factory=set)
    would_be_refused: set[str] = field(default_factory=set)
    most_people: int = 0
    agency: str = NO_AGENCY
    sender: str | None = None  # of mail that is known by name
    subjects: dict[str, str] = field(default_factory=dict)  # by mailing

    def violations(self, approved: Collection[str]) -> set[str]:
        """Return everything that a rule held, refused or warned of, or would have, but for what was approved."""
        found = self.held | self.refused | self.warned | self.would_be_held | self.would_be_refused
        return found.difference(approved)


@immutable
class ObservedViolation:
    """A mailing that a rule would have stopped, and that passed because the gate only observed."""

    unit: str
    verdict: str
    rules: tuple[str, ...]
    sender: str | None
    subject: str | None
    users: int
    at: float


@dataclass(slots=True)
class RuleShare:
    """How often one rule matched, in messages and in mailings (or messages without a number)."""

    action: str
    cite: str = ""  # the clause, as mail that is known by name has it
    messages: int = 0
    mailings: set[str] = field(default_factory=set)


@dataclass(slots=True)
class MonthShare:
    """What was judged in one month."""

    messages: int = 0
    mailings: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


@dataclass
class Compliance:
    """Adds up records; only those of one agency's senders where `agency` names it.

    Args: `zone` is the time zone of months.
    """

    agency: str | None = None
    zone: tzinfo = UTC
    verdicts: Counter[str] = field(default_factory=Counter)  # verdicts of the rules
    observed: Counter[str] = field(default_factory=Counter)  # verdicts that were not carried out
    watched: Counter[str] = field(default_factory=Counter)  # rules that are only observed -> times they matched
    rules: Counter[str] = field(default_factory=Counter)
    agencies: dict[str, ComplianceShare] = field(default_factory=dict)
    senders: dict[str, ComplianceShare] = field(default_factory=dict)  # by keyed hash
    stopped: dict[str, ObservedViolation] = field(default_factory=dict)
    rule_shares: dict[str, RuleShare] = field(default_factory=dict)
    months: dict[str, MonthShare] = field(default_factory=dict)  # such as 2026-11

    def take(self, record: Record, frame: Frame | None) -> None:
        """Take one decision. Resends, failures and rechecks of held mailings are not counted."""
        if frame is None or record.moment == RECHECKED:
            return
        agency = value_of(record, frame, "sender_agency") or NO_AGENCY
        if self.agency not in (None, agency):
            return
        self.verdicts[record.verdict] += 1
        self.watched.update(record.watched)
        self.rules.update(row[0] for row in record.reasons)
        for part in (self._part(self.agencies, agency), self._part(self.senders, record.source)):
            part.agency = agency
            _add(part, record, frame)
        self._add_rules(record)
        self._add_month(record)
        if _passed_all_the_same(record):
            self.observed[record.verdict] += 1
            self._stop(record, frame)

    def _add_rules(self, record: Record) -> None:
        for rule, action, *more in record.reasons:
            share = self.rule_shares.setdefault(rule, RuleShare(action))
            share.cite = (more[0] if more else "") or share.cite
            share.messages += 1
            share.mailings.add(_unit(record))

    def _add_month(self, record: Record) -> None:
        month = self.months.setdefault(f"{datetime.fromtimestamp(record.at, self.zone):%Y-%m}", MonthShare())
        month.messages += 1
        if record.mass or record.mailing:
            month.mailings.add(_unit(record))
        if record.verdict in (Action.HOLD.value, Action.REJECT.value) and not _passed_all_the_same(record):
            (month.held if record.verdict == Action.HOLD.value else month.refused).add(_unit(record))

    def _part(self, parts: dict[str, ComplianceShare], name: str) -> ComplianceShare:
        return parts.setdefault(name, ComplianceShare())

    def _stop(self, record: Record, frame: Frame) -> None:
        rules = tuple(row[0] for row in record.reasons)
        who = value_of(record, frame, "sender"), value_of(record, frame, "subject")
        users = value_of(record, frame, "users") or 0
        self.stopped[_unit(record)] = ObservedViolation(_unit(record), record.verdict, rules, *who, users, record.at)

    def repeat_senders(self, approved: Collection[str]) -> list[ComplianceShare]:
        """Return senders with more than one violation, those with most first."""
        found = [(len(part.violations(approved)), part) for part in self.senders.values()]
        ranked = sorted(found, key=lambda each: (-each[0], each[1].sender or ""))
        return [part for number, part in ranked if number > 1]

    def top_senders(self, number: int) -> list[ComplianceShare]:
        """Return the senders of mass mail that reached most people with one mailing."""
        named = [part for part in self.senders.values() if part.mailings]
        return sorted(named, key=lambda part: (-part.most_people, part.sender or ""))[:number]


def value_of(record: Record, frame: Frame, name: str) -> Any:
    """Return a recorded value; None where it was not recorded."""
    names = frame.fields if name in frame.fields else (*frame.fields, *frame.named)
    place = names.index(name) if name in names else len(names)
    return record.values[place] if place < len(record.values) else None


def _unit(record: Record) -> str:
    return record.mailing or record.id


def _passed_all_the_same(record: Record) -> bool:
    return record.verdict in _STOPS and record.done in (Action.RELAY.value, Action.WARN.value)


def _add(part: ComplianceShare, record: Record, frame: Frame) -> None:
    part.messages += 1
    unit = _unit(record)
    if record.mass or record.mailing:
        part.mailings.add(unit)
        part.sender = value_of(record, frame, "sender")
        people = value_of(record, frame, "people")
        part.most_people = max(part.most_people, people if isinstance(people, int) else 0)
    watched = _passed_all_the_same(record)
    if record.verdict == Action.HOLD.value:
        (part.would_be_held if watched else part.held).add(unit)
    elif record.verdict == Action.REJECT.value:
        (part.would_be_refused if watched else part.refused).add(unit)
    elif record.verdict == Action.WARN.value:
        part.warned.add(unit)
