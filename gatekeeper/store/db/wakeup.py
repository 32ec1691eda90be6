"""Wake the queues of all nodes when a job is queued, by NOTIFY of Postgres in the same transaction.

A listener has a connection of its own and a thread that waits on it. Without it (a lost connection, or SQLite) jobs are
found a little later and nothing else: queues also look by themselves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.store.db.engine import Database

log = logging.getLogger("gatekeeper.store")
_CHANNEL = "gatekeeper_jobs"
_TURN = 0.5  # seconds after which the waiting thread checks whether it should end
_PAUSE = 1.0  # seconds before a lost connection is made anew


def wake_queues(connection: Connection) -> None:
    """Wake all listeners once the transaction is committed; several calls in one transaction count as one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {_CHANNEL}"))


class WakeupListener:
    """Listens for wake-ups, from `start` to `stop`."""

    def __init__(self, database: Database, on_wakeup: Callable[[], None]) -> None:
        """Args: `on_wakeup` is called in the listener's thread: at each wake-up, and when one may have been missed."""
        self._database, self._on_wakeup = database, on_wakeup
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.works = False  # False: nobody will be woken

    def start(self) -> None:
        """Begin to listen, where the database is Postgres."""
        if not self._database.is_sqlite:
            self._thread = threading.Thread(target=self._run, name="store-bell", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop listening; returns within a second or so."""
        self._ending.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        errors = (SQLAlchemyError, self._database.engine.dialect.loaded_dbapi.Error)
        while not self._ending.is_set():
            try:
                self._listen()
            except errors as error:
                log.info("not woken by the database until it is there again: %s", " ".join(str(error).split())[:200])
            self.works = False
            self._ending.wait(_PAUSE)

    def _listen(self) -> None:
        pooled = self._database.engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()  # from the pool, whose connections are for work
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {_CHANNEL}")
            self.works = True
            self._on_wakeup()
            while not self._ending.is_set():
                for _ in driver.notifies(timeout=_TURN, stop_after=1):
                    self._on_wakeup()
        finally:
            driver.close()
