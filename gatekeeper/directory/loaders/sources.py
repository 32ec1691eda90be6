"""Whether what a source says now is believed: one that reaches fewer people than before may be a broken export.

A source that comes back with less than half of the entries that it had when it was good last is questioned, and so is
one that permits more than twice as many people as then (groups of senders, consent). A questioned source stays as it
was, by the copy in memory; where there is none, as after a start, what hangs on it cannot be told (DESIGN 10).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gatekeeper.lib.immutable import immutable

FRESH, COPY, EXPIRED, SHRUNK = STATES = ("fresh", "copy", "expired", "shrunk")
T = TypeVar("T")


@immutable
class SourceSize:
    """How much a source holds: its entries, and how many of them permit something to somebody."""

    entries: int
    granted: int = 0

    def __str__(self) -> str:
        permits = f", {self.granted} that permit" if self.granted else ""
        return f"{self.entries} {'entry' if self.entries == 1 else 'entries'}{permits}"


NEVER_GOOD = SourceSize(-1)  # of a source that has not answered yet


@immutable
class SourceReading:
    """What a source said at a load, and what became of it."""

    name: str
    state: str  # one of STATES
    size: SourceSize  # as it was when it was good last
    found: SourceSize  # as it is now
    shrinking: bool  # fewer entries are a reason to question it
    content: object = field(default=None, repr=False)  # that is in force

    @property
    def is_shrunk(self) -> bool:
        return self.state == SHRUNK


@dataclass(slots=True)
class SourceHistory:
    """The sources of one process: what the store knows of them, and copies of what was good last."""

    _known: Mapping[str, SourceSize] = field(default_factory=dict)  # of the last good load of any process
    _in_force: dict[str, SourceReading] = field(default_factory=dict)
    _has_learned: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)  # loads run in threads

    def learn(self, known: Mapping[str, SourceSize]) -> None:
        """Take in how large each source was when it was good last, as the store has it.

        What was read before the first time was believed without that, and is looked at again.
        """
        with self._lock:
            self._known = dict(known)
            if not self._has_learned:
                doubtful = [read for read in self._in_force.values() if _differs(read, self._known.get(read.name))]
                self._in_force |= {read.name: _without_copy(read) for read in doubtful}
            self._has_learned = True

    @property
    def unproven(self) -> bool:
        """True where there are sources of which nobody has said yet how large they are to be."""
        return bool(self._in_force) and not self._has_learned

    @property
    def readings(self) -> tuple[SourceReading, ...]:
        """What each source in force said last."""
        return tuple(self._in_force.values())

    @property
    def mark(self) -> str:
        """Which sources are questioned now, by what is known: where that changes, the directory must be loaded anew."""
        with self._lock:
            return " ".join(f"{name}={read.found}" for name, read in self._in_force.items() if self._doubts(read))

    def read(
        self, name: str, found: SourceSize, content: object, *, shrinking: bool = True, is_copy: bool = False
    ) -> SourceReading:
        """Say what becomes of what a source says now; its `content` is None where there is nothing to go by."""
        with self._lock:
            before = self._in_force.get(name)
            now = SourceReading(name, COPY if is_copy else FRESH, found, found, shrinking, content)
            if not self._doubts(now):
                return now
            size = self._known.get(name) or (before.size if before else found)
            return SourceReading(name, SHRUNK, size, found, shrinking, before.content if before else None)

    def expired(self, name: str) -> SourceReading:
        """Say that a source has not answered for too long; what it said last is kept in mind to compare with."""
        with self._lock:
            before = self._in_force.get(name) or SourceReading(name, EXPIRED, NEVER_GOOD, SourceSize(0), shrinking=True)
            return replace(before, state=EXPIRED)

    def keep(self, readings: Iterable[SourceReading]) -> None:
        """Note what is in force from now on, after a load without errors."""
        with self._lock:
            self._in_force = {read.name: read for read in readings}

    def _doubts(self, now: SourceReading) -> bool:
        before = self._in_force.get(now.name)
        if before and before.content is not None and before.state in (FRESH, COPY) and before.found == now.found:
            return False  # as large as what is in force here; another node may have another file
        was_good = before is not None and before.content is not None
        return _differs(now, self._known.get(now.name) or (before.size if before and was_good else None))


def _differs(now: SourceReading, known: SourceSize | None) -> bool:
    """True where it reaches less than half, or permits more than twice, of what it did when it was good last."""
    if known is None or now.state == EXPIRED:
        return False
    fewer = now.shrinking and 2 * now.found.entries < known.entries
    return fewer or now.found.granted > 2 * known.granted


def _without_copy(read: SourceReading) -> SourceReading:
    return SourceReading(read.name, SHRUNK, read.size, read.found, read.shrinking)
