"""Turns at writing to an SQLite database that several processes share.

SQLite lets one process write at a time, and the others look again after pauses that grow to 100 ms: under load whoever
has just written is first again, and others wait for seconds, up to `database is locked`. So writers queue for a lock on
a file beside the database, and look for it every millisecond. It is a courtesy, not what keeps the data whole: who does
not get the turn in time goes on without, and SQLite decides. The kernel gives back the turn of a process that dies.
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
def turn(database: Path, patience: float) -> Iterator[None]:
    """Have the turn for a while, or after `patience` seconds go on without it; never raises of itself.

    The file is not the database's own: to close that would drop the locks that SQLite has on it.
    """
    descriptor = _open(Path(f"{database}-turn"))
    if descriptor is None:
        yield
        return
    try:
        _wait(descriptor, time.monotonic() + patience)
        yield
    finally:
        os.close(descriptor)  # which gives the turn back


def _open(path: Path) -> int | None:
    with suppress(OSError):  # no room, no descriptors: SQLite will say so better
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
