"""A TLS context made of files, which is made anew when they are renewed."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from os import PathLike

_States = tuple[tuple[int, int, int], ...]  # of each file its inode, size and time of change


class RenewedTls:
    """The TLS context of a place that takes or makes connections, as its files are now."""

    def __init__(
        self,
        make: Callable[[], ssl.SSLContext],
        files: Iterable[str | PathLike[str] | None],
        log: logging.Logger,
        what: str,
    ) -> None:
        """Make the context for the first time. Raises what `make` raises, which is OSError where a file is no good.

        Args: `what` names the files in the log, such as "our certificate /etc/gatekeeper/gate.pem".
        """
        self._make, self._log, self._what = make, log, what
        self._paths = [path for path in files if path]
        self._states = self._look()
        self._context = make()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection.

        Where the files cannot be used, as in the middle of a renewal, the context before is used still, and it is
        logged once.
        """
        if self._paths and (states := self._look()) != self._states:
            self._states = states
            try:
                self._context = self._make()
                self._log.info("%s was read again", self._what)
            except OSError as error:  # ssl.SSLError is one
                text = error.strerror or error
                self._log.warning("%s cannot be read: %s; what was there before is used until it can", self._what, text)
        return self._context

    def _look(self) -> _States:
        found = []
        for path in self._paths:
            with suppress(OSError):
                status = os.stat(path)
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)
