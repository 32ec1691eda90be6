"""What is made of files, such as a TLS context or a secret, and made anew when they are renewed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from os import PathLike
from typing import Generic, TypeVar

T = TypeVar("T")
_States = tuple[tuple[int, int, int], ...]  # of each file its inode, size and time of change


class Renewed(Generic[T]):
    """Something that is as its files are now."""

    def __init__(
        self, make: Callable[[], T], files: Iterable[str | PathLike[str] | None], log: logging.Logger, what: str
    ) -> None:
        """Make it for the first time. Raises what `make` raises: OSError or ValueError where a file is no good.

        Args: `what` names it in the log, such as "our certificate /etc/gatekeeper/gate.pem".
        """
        self._make, self._log, self._what = make, log, what
        self._paths = [path for path in files if path]
        self._states = self._look()
        self._made = make()

    def now(self) -> T:
        """Return it as the files are now.

        Where they cannot be used, as in the middle of a renewal, what was there before is used still, and it is logged
        once.
        """
        if self._paths and (states := self._look()) != self._states:
            self._states = states
            try:
                self._made = self._make()
                self._log.info("%s was read again", self._what)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                text = getattr(error, "strerror", None) or error
                self._log.warning("%s cannot be read: %s; what was there before is used until it can", self._what, text)
        return self._made

    def _look(self) -> _States:
        found = []
        for path in self._paths:
            with suppress(OSError):
                status = os.stat(path)
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)
