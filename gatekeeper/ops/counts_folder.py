"""The folder in which the processes of a gate count together; what a killed supervisor has left is removed."""

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
    """A new temporary folder for counters; its lock ends with this process, however the process ends."""

    def __init__(self) -> None:
        """Make the folder, and remove the folders of supervisors that were killed."""
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._descriptor = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
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
