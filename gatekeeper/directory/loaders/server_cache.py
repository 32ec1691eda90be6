"""Copies of what servers said: asked again every few minutes, kept while a server is down, up to their stated age.

One process keeps one copy of each source, whatever the number of loads. A copy that is too old, and a source that never
answered, are *expired*: fields that hang on them cannot be told (DESIGN 10).
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

Rows = Sequence[Mapping[str, str]]
SourceQuery = Callable[[], Rows]  # raises SourceDown
REFRESH = timedelta(minutes=5)
_RETRY = timedelta(seconds=30)  # after a failure, at the soonest


class SourceDown(Exception):
    """A server that cannot be asked, or answers nonsense; the text says why, without any secret."""


@dataclass(slots=True)
class ServerCopy:
    """What a source said last."""

    rows: Rows = ()
    digest: str = ""
    taken: float | None = None  # of the monotonic clock; None before the first answer
    tried: float | None = None
    problem: str = ""  # why it could not be asked last time


@dataclass(slots=True)
class ServerCopies:
    """The copies of one process."""

    clock: Callable[[], float] = time.monotonic
    _copies: dict[str, ServerCopy] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, key: str, ask: SourceQuery, refresh: timedelta) -> ServerCopy:
        """The copy of a source, asked anew where it is time to. Args: `key` is all that the source is made of."""
        with self._lock:
            copy = self._copies.setdefault(key, ServerCopy())
            if self._is_time(copy, refresh):
                self._ask(copy, ask)
            return copy

    def expired(self, copy: ServerCopy, age: timedelta | None) -> bool:
        """True where there is no copy, or it is older than it may be; any age is good where none is stated."""
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
            rows = ask()
        except DirectoryError:
            raise
        except SourceDown as error:
            copy.problem = str(error)
            return
        text = json.dumps(sorted(sorted(row.items()) for row in rows))
        copy.rows, copy.digest = rows, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        copy.taken, copy.problem = copy.tried, ""


PROCESS_COPIES = ServerCopies()
