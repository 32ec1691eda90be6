"""Log outages of the database that a loop survives: when they begin, when they change, and when they are over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gatekeeper.store.db.errors import StoreError


class OutageLog:
    """Keeps one loop going while the database is at fault, and logs that once instead of at each turn."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        """Args: `what` names the work that waits, as the subject of a sentence: `gathers`."""
        self._log = log
        self._what = what
        self._problem = ""

    @property
    def lasts(self) -> bool:
        """True from a fault on until a body of `survived` has ended without one."""
        return bool(self._problem)

    @contextmanager
    def survived(self) -> Iterator[None]:
        """Swallow a StoreError of the body, after logging it; other errors pass."""
        try:
            yield
        except StoreError as error:
            self._failed(str(error))
        else:
            self._worked()

    def _failed(self, problem: str) -> None:
        if problem != self._problem:
            self._log.warning("%s: waiting for the database: %s", self._what, problem)
        self._problem = problem

    def _worked(self) -> None:
        if self._problem:
            self._log.info("%s: the database answers again", self._what)
        self._problem = ""
