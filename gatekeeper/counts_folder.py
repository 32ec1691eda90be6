"""The folder in which the processes of one gate keep their counts: gone with its supervisor, or with the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "gatekeeper-counts-"
_YOUNG = 60.0  # seconds, in which its supervisor may not have locked it yet


class CountsFolder:
    """A new folder for temporary files; the lock on it ends with this process, however that ends."""

    def __init__(self) -> None:
        """Make it, and remove those whose supervisors were killed."""
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._descriptor = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._descriptor)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or just removed
            if path.stat().st_uid == os.geteuid() and time.time() - path.stat().st_mtime > _YOUNG:
                _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError, an OSError: its supervisor lives
        shutil.rmtree(path)
    finally:
        os.close(descriptor)
