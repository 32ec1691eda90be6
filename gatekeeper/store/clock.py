"""The time that all nodes go by: the database's own.

What several nodes compare (when a gather ends, whether a lease has run out, what came within a day) must not hang on
whose clock wrote it. So the database is asked now and then, and between two answers this machine's monotonic clock
counts on: a clock that is wrong, or is set while we run, changes nothing. An SQLite file is on one machine and needs
none of this.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection

_FRESH_SECONDS = 10.0  # for which an answer is counted on
_PRECISE_SECONDS = 0.5  # an answer that took longer says too little, unless there is none yet


class Clock:
    """Seconds since 1970, as the database counts them."""

    def __init__(self, *, shared: bool) -> None:
        """Args: `shared` where several machines may use the database."""
        self._shared = shared
        self._ahead: float | None = None  # of the monotonic clock
        self._asked = float("-inf")

    def now(self) -> float:
        """The time; this machine's until the database was first asked."""
        return time.time() if self._ahead is None else time.monotonic() + self._ahead

    def tend(self, connection: Connection) -> None:
        """Ask the database where the last answer is old; costs a round trip then, and nothing else."""
        before = time.monotonic()
        if not self._shared or before - self._asked < _FRESH_SECONDS:
            return
        found: float = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8").scalar_one()
        after = time.monotonic()
        if self._ahead is None or after - before < _PRECISE_SECONDS:
            self._ahead, self._asked = found - (before + after) / 2, after
