"""Keep copies of servers' answers: refreshed every few minutes, and kept while a server is down, up to a stated age.

A process keeps one copy of each source, for all loads. A copy that is too old, and a source that never answered, are
*expired*: fields that depend on them are unavailable (docs/directory.md).

To read a cloud's directory may take minutes. A gate does not wait for it: it is read in a thread of its own, and the
next look at the copy finds it.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.lib.immutable import immutable

Rows = Sequence[Mapping[str, str]]
REFRESH = timedelta(minutes=5)
_RETRY = timedelta(seconds=30)  # after a failure, at the soonest
_FIRST = "it is being read for the first time"
FIRST_WAIT = 10.0  # seconds that each starting process waits for a slow source; systemd gives the gate 60


@immutable
class ServerAnswer:
    """What a server answered: its rows, and what an admin should know of them."""

    rows: Rows
    notes: tuple[str, ...] = ()


SourceQuery = Callable[[], ServerAnswer]  # raises SourceDown


@immutable
class SourceTerms:
    """How often a source is asked, and how old its copy may grow."""

    refresh: timedelta = REFRESH
    age: timedelta | None = None  # any, where None
    slow: bool = False  # to read it may take minutes


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
    error: DirectoryError | None = None  # of the last attempt, where the source cannot be asked as it is set up
    asking: threading.Thread | None = None  # which reads a slow source now


@dataclass(slots=True)
class ServerCopies:
    """The copies of all sources in one process."""

    clock: Callable[[], float] = time.monotonic
    patience: float | None = None  # seconds to wait for the first answer of a slow source; None until it is there
    _copies: dict[str, ServerCopy] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, key: str, ask: SourceQuery, refresh: timedelta, *, slow: bool = False) -> ServerCopy:
        """Return the copy of a source as it is now, refreshed where that is due. Raises DirectoryError.

        Args: `key` identifies the source and its options. A `slow` source is read beside, where there is `patience`.
        """
        started = None
        with self._lock:
            copy = self._copies.setdefault(key, ServerCopy())
            if copy.asking is None and self._is_time(copy, refresh):
                if slow and self.patience is not None:
                    started = self._start(copy, ask)
                else:
                    self._put(copy, ask)
        if started and copy.taken is None:
            started.join(self.patience)
        with self._lock:
            if copy.error:
                raise copy.error
            return replace(copy)

    def _start(self, copy: ServerCopy, ask: SourceQuery) -> threading.Thread:
        """Ask a source in a thread of its own, which the end of the process does not wait for."""
        copy.tried = self.clock()
        copy.problem = copy.problem or ("" if copy.taken is not None else _FIRST)
        thread = threading.Thread(target=self._ask_beside, args=(copy, ask), daemon=True, name="directory")
        thread.start()
        copy.asking = thread  # not before it runs: a source that is being asked is asked by nobody else
        return thread

    def _ask_beside(self, copy: ServerCopy, ask: SourceQuery) -> None:
        answer = _answer(ask)
        with self._lock:
            copy.asking = None
            self._take(copy, answer)

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

    def _put(self, copy: ServerCopy, ask: SourceQuery) -> None:
        copy.tried = self.clock()
        self._take(copy, _answer(ask))

    def _take(self, copy: ServerCopy, answer: ServerAnswer | SourceDown | DirectoryError) -> None:
        copy.error = answer if isinstance(answer, DirectoryError) else None
        if isinstance(answer, SourceDown | DirectoryError):
            copy.problem = str(answer)
            return
        text = json.dumps([sorted(sorted(row.items()) for row in answer.rows), sorted(answer.notes)])
        copy.rows, copy.notes = answer.rows, answer.notes
        copy.digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        copy.taken, copy.problem = copy.tried, ""


def _answer(ask: SourceQuery) -> ServerAnswer | SourceDown | DirectoryError:
    try:
        return ask()
    except (SourceDown, DirectoryError) as error:
        return error
    except Exception as error:  # else a fault would end all further loads, and the copy would never be too old
        return SourceDown(f"its answer cannot be used ({type(error).__name__})")  # its text may have a secret


PROCESS_COPIES = ServerCopies()
