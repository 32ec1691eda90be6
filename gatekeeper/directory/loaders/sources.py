"""Decide whether a source is believed: a source with far fewer people than before may be a broken export.

A source is questioned when it has less than half of the entries that it had when it was last good, or when it permits
more than twice as many people as then (groups of senders, consent). For a questioned source the copy in memory stays in
force. Where there is no copy, as after a start, what depends on the source is unavailable (docs/directory.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gatekeeper.lib.immutable import immutable

FRESH, COPY, EXPIRED, SHRUNK = _STATES = ("fresh", "copy", "expired", "shrunk")
T = TypeVar("T")


@immutable
class SourceSize:
    """The size of a source: its entries, and how many of them permit something to somebody."""

    entries: int
    granted: int = 0

    def __str__(self) -> str:
        permits = f", {self.granted} that permit" if self.granted else ""
        return f"{self.entries} {'entry' if self.entries == 1 else 'entries'}{permits}"


NEVER_GOOD = SourceSize(-1)  # the size of a source that has not answered yet


@immutable
class SourceReading:
    """The content of a source at one load, and whether it is believed."""

    name: str
    state: str  # one of _STATES
    size: SourceSize  # size when the source was last good
    found: SourceSize  # size now
    shrinking: bool  # fewer entries are a reason to question the source
    content: object = field(default=None, repr=False)  # the content in force

    @property
    def is_shrunk(self) -> bool:
        return self.state == SHRUNK


@dataclass(slots=True)
class SourceHistory:
    """The sources of one process: their last good sizes from the store, and copies of their last good content."""

    _known: Mapping[str, SourceSize] = field(default_factory=dict)  # sizes at the last good load of any process
    _in_force: dict[str, SourceReading] = field(default_factory=dict)
    _has_learned: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)  # loads run in threads

    def learn(self, known: Mapping[str, SourceSize]) -> None:
        """Take from the store how large each source was when it was last good.

        Sources read before the first call were believed without that knowledge, and are checked again.
        """
        with self._lock:
            self._known = dict(known)
            if not self._has_learned:
                doubtful = [read for read in self._in_force.values() if _differs(read, self._known.get(read.name))]
                self._in_force |= {read.name: _without_copy(read) for read in doubtful}
            self._has_learned = True

    @property
    def unproven(self) -> bool:
        """Return True where sources are in force whose last good sizes are not known yet."""
        return bool(self._in_force) and not self._has_learned

    @property
    def readings(self) -> tuple[SourceReading, ...]:
        """Return the last reading of each source in force."""
        return tuple(self._in_force.values())

    @property
    def mark(self) -> str:
        """Return which sources are questioned now. When this changes, the directory must be loaded again."""
        with self._lock:
            return " ".join(f"{name}={read.found}" for name, read in self._in_force.items() if self._doubts(read))

    def read(
        self, name: str, found: SourceSize, content: object, *, shrinking: bool = True, is_copy: bool = False
    ) -> SourceReading:
        """Return the reading of a source's current content; its `content` is None where there is nothing to use."""
        with self._lock:
            before = self._in_force.get(name)
            now = SourceReading(name, COPY if is_copy else FRESH, found, found, shrinking, content)
            if not self._doubts(now):
                return now
            size = self._known.get(name) or (before.size if before else found)
            return SourceReading(name, SHRUNK, size, found, shrinking, before.content if before else None)

    def expired(self, name: str) -> SourceReading:
        """Return the reading of a source that has not answered for too long; its last size is kept for comparison."""
        with self._lock:
            before = self._in_force.get(name) or SourceReading(name, EXPIRED, NEVER_GOOD, SourceSize(0), shrinking=True)
            return replace(before, state=EXPIRED)

    def keep(self, readings: Iterable[SourceReading]) -> None:
        """Set what is in force from now on, after a load without errors."""
        with self._lock:
            self._in_force = {read.name: read for read in readings}

    def _doubts(self, now: SourceReading) -> bool:
        before = self._in_force.get(now.name)
        if before and before.content is not None and before.state in (FRESH, COPY) and before.found == now.found:
            return False  # as large as what is in force here; another node may have a different file
        was_good = before is not None and before.content is not None
        return _differs(now, self._known.get(now.name) or (before.size if before and was_good else None))


def _differs(now: SourceReading, known: SourceSize | None) -> bool:
    """Return True where a source has under half the entries, or over twice the permissions, of its last good state."""
    if known is None or now.state == EXPIRED:
        return False
    fewer = now.shrinking and 2 * now.found.entries < known.entries
    return fewer or now.found.granted > 2 * known.granted


def _without_copy(read: SourceReading) -> SourceReading:
    return SourceReading(read.name, SHRUNK, read.size, read.found, read.shrinking)
