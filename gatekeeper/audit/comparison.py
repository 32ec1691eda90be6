"""What a draft would have changed: past decisions judged again, and the differences added up. Pure.

People's decisions are taken as they were made. Where the draft holds a mailing that was not held, or releases one that
was, later messages of that mailing are judged with that state.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from gatekeeper.audit.record import Frame, Record
from gatekeeper.audit.replay import Replayed, Replayer, standing_of
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action, Reason, Standing, Verdict
from gatekeeper.rules.judge import HELD
from gatekeeper.rules.ruleset import Ruleset


@immutable
class Example:
    """One decision that the draft would have made differently."""

    record: Record
    frame: Frame
    verdict: Verdict

    def value(self, name: str) -> Any:
        """Return a recorded value; None where it was not recorded."""
        names = (*self.frame.fields, *self.frame.named)
        place = names.index(name) if name in names else len(names)
        return self.record.values[place] if place < len(self.record.values) else None


@dataclass(slots=True)
class VerdictChange:
    """All decisions that would have gone from one verdict to another; where both are the same, for other reasons."""

    before: str
    after: str
    decisions: int = 0
    mailings: set[int | str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    rules: Counter[str] = field(default_factory=Counter)  # of the draft, where they are new; else of the old rules
    examples: list[Example] = field(default_factory=list)

    @property
    def is_verdict(self) -> bool:
        """True where the verdict would have been another."""
        return self.before != self.after


@dataclass
class Comparison:
    """Adds up decisions, which must be taken in the order of their times."""

    draft: Ruleset
    most_examples: int = 3
    decisions: int = 0
    judged: int = 0
    changes: dict[tuple[str, str], VerdictChange] = field(default_factory=dict)
    unrecorded_tests: Counter[str] = field(default_factory=Counter)  # test -> decisions that could not be judged for it
    ledger_not_asked: int = 0  # judged as though there were no permits and suspensions
    not_asked: Counter[str] = field(default_factory=Counter)  # moment -> decisions that asked no rule
    rulesets: Counter[str] = field(default_factory=Counter)  # digest -> decisions under it
    _held: dict[int, tuple[Reason, ...]] = field(default_factory=dict)  # mailings whose state would be another

    def __post_init__(self) -> None:
        self._replayer = Replayer(self.draft)

    def take(self, record: Record, frame: Frame | None) -> None:
        """Take one decision; `frame` is None where no rule was asked."""
        self.decisions += 1
        if frame is None:
            self.not_asked[record.moment] += 1
            return
        self.rulesets[frame.ruleset] += 1
        standing = self._standing(record) if record.key in self._held else None
        replayed = self._replayer.replay(record, frame, standing)
        if replayed.unrecorded_test:
            self.unrecorded_tests[replayed.unrecorded_test] += 1
            return
        self.judged += 1
        self.ledger_not_asked += replayed.ledger_not_asked
        if replayed.action.value != record.verdict or not _same_rules(record, replayed) or standing is not None:
            self._differs(record, frame, standing, replayed)

    @property
    def differences(self) -> int:
        """The number of decisions whose verdict would have been another."""
        return sum(change.decisions for change in self.changes.values() if change.is_verdict)

    def _differs(self, record: Record, frame: Frame, standing: Standing | None, replayed: Replayed) -> None:
        verdict = self._replayer.verdict(record, frame, standing)
        self._follow(record, replayed, verdict)
        if replayed.action.value == record.verdict and _same_rules(record, replayed):
            return
        pair = (record.verdict, replayed.action.value)
        change = self.changes.setdefault(pair, VerdictChange(*pair))
        change.decisions += 1
        change.sources.add(record.source)
        change.mailings.add(record.id if record.key is None else record.key)
        before = [row[0] for row in record.reasons]
        new = [rule for rule in replayed.rules if rule not in before]
        change.rules.update(new or [rule for rule in before if rule not in replayed.rules])
        if len(change.examples) < self.most_examples and _is_another(record, change):
            change.examples.append(Example(record, frame, verdict))

    # -- the state that the mailing would have -------------------------------------------------------------------

    def _standing(self, record: Record) -> Standing:
        recorded, reasons = standing_of(record), self._held[record.key or 0]
        if reasons:
            return replace(recorded, state=HELD, reasons=reasons)
        return replace(recorded, state="open", reasons=()) if recorded.state == HELD else recorded

    def _follow(self, record: Record, replayed: Replayed, verdict: Verdict) -> None:
        if record.key is None:
            return
        if replayed.action is Action.HOLD and (record.verdict != HELD_VERDICT or record.key in self._held):
            self._held[record.key] = _holding(verdict)
        elif record.verdict == HELD_VERDICT and replayed.action is not Action.HOLD:
            self._held.setdefault(record.key, ())


HELD_VERDICT = Action.HOLD.value


def _same_rules(record: Record, replayed: Replayed) -> bool:
    return not replayed.complete or {row[0] for row in record.reasons} == set(replayed.rules)


def _is_another(record: Record, change: VerdictChange) -> bool:
    """Return True where no example is of the same mailing."""
    return all(record.key is None or record.key != example.record.key for example in change.examples)


def _holding(verdict: Verdict) -> tuple[Reason, ...]:
    return tuple(reason for reason in verdict.reasons if reason.action is Action.HOLD or reason.unknown)
