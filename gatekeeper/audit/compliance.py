"""What the records of a time come to: by agency, by sender, and what would have been stopped. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.audit.record import MET, Frame, Record
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action

_STOPS = (Action.HOLD.value, Action.REJECT.value, Action.DEFER.value)
_VIOLATIONS = (Action.HOLD.value, Action.REJECT.value, Action.WARN.value)
NO_AGENCY = "(none)"


@dataclass(slots=True)
class Part:
    """An agency's share, or a sender's; mailings by number, or messages by id where they have none."""

    messages: int = 0
    mailings: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    would_be_held: set[str] = field(default_factory=set)
    would_be_refused: set[str] = field(default_factory=set)
    most_people: int = 0
    agency: str = NO_AGENCY
    sender: str | None = None  # of mail that has a name
    subjects: dict[str, str] = field(default_factory=dict)  # by mailing

    @property
    def violations(self) -> set[str]:
        """What a rule held, refused or warned of, or would have."""
        return self.held | self.refused | self.warned | self.would_be_held | self.would_be_refused


@immutable
class Stopped:
    """A mailing that passed though a rule would have stopped it, since the gate only observed."""

    unit: str
    verdict: str
    rules: tuple[str, ...]
    sender: str | None
    subject: str | None
    users: int
    at: float


@dataclass
class Compliance:
    """Adds up records; of one agency's senders where it is named."""

    agency: str | None = None
    verdicts: Counter[str] = field(default_factory=Counter)  # what was said
    observed: Counter[str] = field(default_factory=Counter)  # what was said and not done
    watched: Counter[str] = field(default_factory=Counter)  # rules that are only observed -> times they matched
    rules: Counter[str] = field(default_factory=Counter)
    agencies: dict[str, Part] = field(default_factory=dict)
    senders: dict[str, Part] = field(default_factory=dict)  # by keyed hash
    stopped: dict[str, Stopped] = field(default_factory=dict)

    def take(self, record: Record, frame: Frame | None) -> None:
        """Take one decision; resends, failures, and looks at what was held and counted before count for nothing."""
        if frame is None or record.moment == MET:
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
        if _passed_all_the_same(record):
            self.observed[record.verdict] += 1
            self._stop(record, frame)

    def _part(self, parts: dict[str, Part], name: str) -> Part:
        return parts.setdefault(name, Part())

    def _stop(self, record: Record, frame: Frame) -> None:
        rules = tuple(row[0] for row in record.reasons)
        who = value_of(record, frame, "sender"), value_of(record, frame, "subject")
        users = value_of(record, frame, "users") or 0
        self.stopped[_unit(record)] = Stopped(_unit(record), record.verdict, rules, *who, users, record.at)

    def repeat_senders(self) -> list[Part]:
        """Senders with more than one violation, the most first."""
        found = [part for part in self.senders.values() if len(part.violations) > 1]
        return sorted(found, key=lambda part: (-len(part.violations), part.sender or ""))

    def top_senders(self, number: int) -> list[Part]:
        """Those who reached most people with one mailing, among the senders of mass mail."""
        named = [part for part in self.senders.values() if part.mailings]
        return sorted(named, key=lambda part: (-part.most_people, part.sender or ""))[:number]


def value_of(record: Record, frame: Frame, name: str) -> Any:
    """A recorded value; None where it was not recorded."""
    names = frame.fields if name in frame.fields else (*frame.fields, *frame.named)
    place = names.index(name) if name in names else len(names)
    return record.values[place] if place < len(record.values) else None


def _unit(record: Record) -> str:
    return record.mailing or record.id


def _passed_all_the_same(record: Record) -> bool:
    return record.verdict in _STOPS and record.done in (Action.RELAY.value, Action.WARN.value)


def _add(part: Part, record: Record, frame: Frame) -> None:
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
