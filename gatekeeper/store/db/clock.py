"""The time that all processes on one database share.

What several processes compare (when a gather ends, whether a lease has run out, what arrived within a day) must depend
neither on whose clock wrote it nor on a clock that is set while mail is on its way. So a process reads the wall clock
once and then counts on by CLOCK_BOOTTIME, which nobody can set and which goes on while the machine sleeps. It
approaches the wall clock by at most one second in ten: time never goes back, and nothing becomes due by a jump.

On Postgres the wall clock is the server's. On SQLite all processes are on one machine. On both a new process takes the
time of a running one from the database (`clocks`), so that a command, a worker that was started anew and the others
agree even if the wall clock was set meanwhile.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, select

from gatekeeper.store.db.schema import clocks
from gatekeeper.store.db.statements import upsert

_FRESH_SECONDS = 10.0  # for which an answer of the server is used
_PRECISE_SECONDS = 0.5  # an answer that took longer is too imprecise, unless there is none yet
_DRAW_SECONDS = 1.0  # between two steps towards the wall clock
_DRAW_RATE = 0.1  # seconds a second, at most
_SHARED_SECONDS = 60.0  # for which the time that a process has stored is adopted by others
_NAME = "gate"
_SERVER = "server"  # in the place of a start of the machine: of a time that is told by a server's clock
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Return the seconds since the machine was started, sleep included; nobody can set them."""
    return time.clock_gettime(_BOOT_CLOCK)


@cache
def boot_name() -> str:
    """Return a name for this start of the machine; "" where the system gives none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


class Clock:
    """Seconds since 1970 that never jump."""

    def __init__(self, *, shared: bool) -> None:
        """Args: `shared` is True where several machines may use the database, whose server then has the wall clock."""
        self._shared = shared
        self._ahead: float | None = None  # seconds to add to boot_seconds(); None before the wall clock was read
        self._wall: float | None = None  # what `_ahead` approaches; None for this machine's clock
        self._asked = float("-inf")
        self._drawn = 0.0  # when `_ahead` was last changed
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time in seconds since 1970; this machine's until a server was first asked."""
        boot = boot_seconds()
        ahead = self._ahead
        if ahead is None:
            return time.time() if self._shared else boot + self._begin(boot, time.time() - boot)
        if boot - self._drawn >= _DRAW_SECONDS:
            ahead = self._draw(boot)
        return boot + ahead

    def _begin(self, boot: float, ahead: float) -> float:
        with self._lock:
            if self._ahead is None:
                self._ahead, self._drawn = ahead, boot
            return self._ahead

    def _draw(self, boot: float) -> float:
        with self._lock:
            assert self._ahead is not None
            most = max(0.0, boot - self._drawn) * _DRAW_RATE
            wall = time.time() - boot if self._wall is None else self._wall
            self._ahead += min(most, max(-most, wall - self._ahead))
            self._drawn = max(boot, self._drawn)
            return self._ahead

    # -- the wall clock of a server ------------------------------------------------------------------------------

    def tend(self, connection: Connection) -> None:
        """Ask the server for its time where the last answer is old: one round trip then, else nothing."""
        before = boot_seconds()
        if not self._shared or before - self._asked < _FRESH_SECONDS:
            return
        found = server_time(connection)
        after = boot_seconds()
        if self._wall is None or after - before < _PRECISE_SECONDS:
            self._wall, self._asked = found - (before + after) / 2, after
            if self._ahead is None:
                self._begin(after, self._wall + _told(connection, _SERVER, found))

    # -- the time of other processes of this machine -------------------------------------------------------------

    def adopt(self, connection: Connection) -> None:
        """Take the time of a running process, on SQLite; where none runs, the wall clock's.

        On Postgres `tend` does so, with the first answer of the server.
        """
        if self._shared or self._ahead is not None:
            return
        boot = boot_seconds()
        if boot_name() and (ahead := _told(connection, boot_name(), boot)):
            self._begin(boot, ahead)

    def tell(self, connection: Connection) -> None:
        """Store the time of this process, for processes that begin later."""
        now, boot = self.now(), boot_seconds()
        if not self._shared:
            row = {"boot": boot_name(), "ahead": now - boot, "told_at": boot}
        elif self._wall is not None:
            row = {"boot": _SERVER, "ahead": now - boot - self._wall, "told_at": boot + self._wall}
        else:
            return
        made = upsert(connection, clocks).values(name=_NAME, **row)
        connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=row))


def server_time(connection: Connection) -> float:
    """Ask the server for its wall clock."""
    found: float = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8").scalar_one()
    return found


def _told(connection: Connection, boot: str, now: float) -> float:
    """Return what a running process adds to its clock of that kind; 0.0 where none has told it of late."""
    row = connection.execute(select(clocks).where(clocks.c.name == _NAME, clocks.c.boot == boot)).first()
    return row.ahead if row and 0 <= now - row.told_at < _SHARED_SECONDS else 0.0
