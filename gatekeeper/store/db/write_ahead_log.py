"""The write-ahead log of an SQLite database: noticing that it was removed beneath a running process, and saving it.

A connection whose log was removed goes on writing to a file that has no name any more; all that it acknowledges is lost
with its process. So each process notes which files it has open, and looks whether they are still there before and after
each transaction, and once a second. Where they are not, one connection that was open before copies the log into the
database, and from then on nothing is read or written until the process is started again by somebody who has looked.
Where the database itself is not there either, nothing is lost: all goes on once its files are back.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from gatekeeper.store.db.errors import StoreError
from gatekeeper.store.db.sqlite_lock import turn

log = logging.getLogger("gatekeeper.store")
# Files come and go one after the other, within less than this: a process that closes removes the index before the log,
# and somebody may move the database away and put it back.
_LOOKS, _PAUSE = 3, 0.05
Files = tuple[tuple[int, int] | None, tuple[int, int] | None]  # device and inode of the log and of its index


class WriteAheadLog:
    """The log of one database, as this process has it open."""

    def __init__(self, database: Path, timeout: float) -> None:
        """Open nothing yet. Args: `timeout` in seconds, for which saving the log may wait for who reads."""
        self._database, self._timeout = database, timeout
        self._index, self._log = Path(f"{database}-shm"), Path(f"{database}-wal")
        self._connection: sqlite3.Connection | None = None
        self._files: Files | None = None
        self._file: tuple[int, int] | None = None  # device and inode of the database
        self._trouble = ""
        self._saving = threading.Lock()

    def check_beside(self) -> None:
        """Raise StoreError where the index of a log is there without its log: it was removed, and nobody knows what was
        in it.
        """
        for _ in range(_LOOKS):
            if self._log.exists() or not self._index.exists():
                return
            time.sleep(_PAUSE)
        raise StoreError(
            f"database: {self._log} was removed while a gate ran, and mail acknowledged since may be lost: put it "
            f"back; or remove {self._index} to go on without it"
        )

    def hold(self) -> None:
        """Open the log, so that no other process removes it by closing the database, and note its files."""
        self.release()
        self._connection = sqlite3.connect(
            self._database, timeout=self._timeout, check_same_thread=False, isolation_level=None
        )
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        self._files, self._file = self._find_files(), _inode(self._database)

    def release(self) -> None:
        """Close it."""
        self._files = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def check(self) -> None:
        """Raise StoreError where the log that this process has open was removed or replaced, now or ever; and while the
        database is not at its place, with its log or without.
        """
        if self._files is None or not (self._trouble or self._is_missing()):
            return
        if not self._trouble and _inode(self._database) != self._file:
            raise StoreError(f"database: {self._database} is not the file that was opened")
        if self._connection is not None and self._saving.acquire(blocking=False):
            try:
                self._save(self._connection)
            finally:
                self._saving.release()
        raise StoreError(self._trouble or f"database: {self._log} was removed while the gate ran")

    def _save(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the database, where nobody has begun another beside it; tried again until it is whole."""
        is_alone = not self._log.exists() and _inode(self._index) in (None, self._files and self._files[1])
        saved = is_alone and self._checkpoint(connection)
        trouble = self._describe(saved=saved)
        if trouble != self._trouble:
            log.error("%s", trouble)
        self._trouble = trouble
        if saved:
            connection.close()
            self._connection = None

    def _checkpoint(self, connection: sqlite3.Connection) -> bool:
        with suppress(sqlite3.Error), turn(self._database, self._timeout):
            busy, frames, copied = connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            return not busy and frames == copied
        return False

    def _describe(self, *, saved: bool) -> str:
        fate = (
            f"all that was acknowledged is saved in {self._database}"
            if saved
            else "what was acknowledged lately is only in files that this process has open: do not end it before you "
            "have them (docs/operations.md)"
        )
        return (
            f"database: {self._log} was removed or replaced while the gate ran: {fate}; no mail is taken until "
            "somebody has looked why and started the gate again"
        )

    def _is_missing(self) -> bool:
        for look in range(_LOOKS):
            if self._find_files() == self._files:
                return False
            if look < _LOOKS - 1:
                time.sleep(_PAUSE)
        return True

    def _find_files(self) -> Files:
        return _inode(self._log), _inode(self._index)


def _inode(path: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
