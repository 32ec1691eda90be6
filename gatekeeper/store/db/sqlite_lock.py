"""Turns at writing to an SQLite database that several processes share.

SQLite lets one process write at a time, and the others look again after pauses that grow to 100 ms: under load the
process that has just written is first again, and others wait for seconds, up to `database is locked`. So writers queue
for a lock on a file beside the database, and try it every millisecond. The turn is a courtesy, not what keeps the data
whole: a process that does not get the turn in time goes on without it, and SQLite decides. The kernel gives back the
turn of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOOK_SECONDS = 0.001


@contextmanager
def turn(database: Path, timeout: float) -> Iterator[None]:
    """Hold the turn, or after `timeout` seconds go on without it; raises nothing of its own.

    The file is not the database's own, because closing that would drop the locks that SQLite has on it.
    """
    descriptor = _open(Path(f"{database}-turn"))
    if descriptor is None:
        yield
        return
    try:
        _wait(descriptor, time.monotonic() + timeout)
        yield
    finally:
        os.close(descriptor)  # which gives the turn back


def _open(path: Path) -> int | None:
    with suppress(OSError):  # no space or descriptors: SQLite has the better error
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return None


def _wait(descriptor: int, end: float) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= end:
            return
        time.sleep(_LOOK_SECONDS)
