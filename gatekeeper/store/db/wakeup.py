"""What wakes the queues of all nodes: NOTIFY of Postgres, rung in the transaction that queues a job.

Whoever listens has a connection of its own and a thread that waits on it. A bell that is out of order, for the
connection is lost or the database is SQLite, costs time and nothing else: queues look by themselves too.
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
_TURN = 0.5  # seconds after which a thread that waits looks whether it is to end
_PAUSE = 1.0  # seconds before a lost connection is made anew


def wake_queues(connection: Connection) -> None:
    """Wake all who listen, once the transaction is committed; several times in one are one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {_CHANNEL}"))


class WakeupListener:
    """Listens, from `start` to `stop`."""

    def __init__(self, database: Database, on_wakeup: Callable[[], None]) -> None:
        """Args: `on_wakeup` is called in the bell's thread: at each wake_queues, and when one may have been missed."""
        self._database, self._on_wakeup = database, on_wakeup
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.works = False  # False: nobody will be woken

    def start(self) -> None:
        """Begin to listen, where the database can wake_queues."""
        if not self._database.is_sqlite:
            self._thread = threading.Thread(target=self._run, name="store-bell", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Listen no more; returns within a second or so."""
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
