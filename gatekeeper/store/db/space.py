"""How much room there is on the disk of a database, and in SQLite's write-ahead log."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("gatekeeper.store")
LEAST_FREE = 256 << 20  # octets: five messages of the largest size
LARGEST_LOG = 1 << 30  # octets of the write-ahead log, which is emptied all the time unless somebody reads and reads
LOG_KEPT = 64 << 20  # to which SQLite cuts the log once it is empty (PRAGMA journal_size_limit)


class Space:
    """The free space of a disk, and the size of the log on it, checked at most once a second."""

    def __init__(self, database: Path | None) -> None:
        """Args: `database` is None for one whose disk is not on this machine."""
        self._folder = database.absolute().parent if database else None
        self._log = Path(f"{database}-wal")
        self._looked_at = float("-inf")
        self._problem = ""

    @property
    def size(self) -> int | None:
        """The octets of the whole disk; None where it is not on this machine, or cannot be asked."""
        with suppress(OSError):
            return shutil.disk_usage(self._folder).total if self._folder is not None else None
        return None

    def is_short(self, now: float) -> bool:
        """Return True where less than LEAST_FREE is left, or the log is larger than LARGEST_LOG; a change is logged."""
        if self._folder is not None and now - self._looked_at >= 1.0:
            self._looked_at = now
            with suppress(OSError):
                self._note(self._look(self._folder))
        return bool(self._problem)

    def _look(self, folder: Path) -> str:
        if shutil.disk_usage(folder).free < LEAST_FREE:
            return f"less than {LEAST_FREE >> 20} MB are free in {folder}: make room"
        if self._log.stat().st_size > LARGEST_LOG:
            return (
                f"{self._log} has more than {LARGEST_LOG >> 20} MB, for some process has read the database all that "
                "time (`fuser` names those that have it open): end it"
            )
        return ""

    def _note(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.error("database: %s; mail is answered 452 until then", problem)
        elif self._problem and not problem:
            log.info("database: there is room again")
        self._problem = problem
