"""Keep copies of servers' answers: refreshed every few minutes, and kept while a server is down, up to a stated age.

A process keeps one copy of each source, for all loads. A copy that is too old, and a source that never answered, are
*expired*: fields that depend on them are unavailable (docs/directory.md).
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.lib.immutable import immutable

Rows = Sequence[Mapping[str, str]]
REFRESH = timedelta(minutes=5)
_RETRY = timedelta(seconds=30)  # after a failure, at the soonest


@immutable
class ServerAnswer:
    """What a server answered: its rows, and what an admin should know of them."""

    rows: Rows
    notes: tuple[str, ...] = ()


SourceQuery = Callable[[], ServerAnswer]  # raises SourceDown


class SourceDown(Exception):
    """A server that cannot be asked, or gives no valid answer; the text says why, without any secret."""


@dataclass(slots=True)
class ServerCopy:
    """The last answer of a source."""

    rows: Rows = ()
    notes: tuple[str, ...] = ()
    digest: str = ""
    taken: float | None = None  # monotonic time of the answer; None before the first
    tried: float | None = None
    problem: str = ""  # why the last attempt failed; "" where it did not


@dataclass(slots=True)
class ServerCopies:
    """The copies of all sources in one process."""

    clock: Callable[[], float] = time.monotonic
    closing: threading.Event = field(default_factory=threading.Event)  # set where the process ends: asking ends too
    _copies: dict[str, ServerCopy] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, key: str, ask: SourceQuery, refresh: timedelta) -> ServerCopy:
        """Return the copy of a source, refreshed where that is due.

        Args: `key` identifies the source and its options.
        """
        with self._lock:
            copy = self._copies.setdefault(key, ServerCopy())
            if self._is_time(copy, refresh):
                self._ask(copy, ask)
            return copy

    def expired(self, copy: ServerCopy, age: timedelta | None) -> bool:
        """Return True where there is no copy or it is older than `age`; with None, any age is good."""
        if copy.taken is None:
            return True
        return bool(copy.problem) and age is not None and self.clock() - copy.taken > age.total_seconds()

    def _is_time(self, copy: ServerCopy, refresh: timedelta) -> bool:
        if copy.tried is None:
            return True
        pause = min(_RETRY, refresh) if copy.problem else refresh
        return self.clock() - copy.tried >= pause.total_seconds()

    def _ask(self, copy: ServerCopy, ask: SourceQuery) -> None:
        copy.tried = self.clock()
        try:
            answer = ask()
        except DirectoryError:
            raise
        except SourceDown as error:
            copy.problem = str(error)
            return
        text = json.dumps([sorted(sorted(row.items()) for row in answer.rows), sorted(answer.notes)])
        copy.rows, copy.notes = answer.rows, answer.notes
        copy.digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        copy.taken, copy.problem = copy.tried, ""


PROCESS_COPIES = ServerCopies()
