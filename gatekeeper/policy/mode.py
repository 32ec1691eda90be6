"""Whether the gate acts on its verdicts, or only observes: by setting, or for a while because somebody said so.

Time by which an observing ends is compared at each message, so that it ends whatever else may have stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.lib.aio import every
from gatekeeper.lib.moments import moment_of
from gatekeeper.store import OutageLog, Store, modes

log = logging.getLogger("gatekeeper.mode")
OBSERVE, ENFORCE = "observe", "enforce"
_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class Mode:
    """The mode of this process."""

    setting: str = ENFORCE
    clock: Callable[[], float] = time.time
    until: float = 0.0  # of an observing that somebody began; seconds since 1970
    _loop: asyncio.Task[None] | None = field(default=None, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the mode"), repr=False)

    @property
    def observes(self) -> bool:
        """True where nothing is to be held, gathered, refused or bounced now."""
        return self.setting == OBSERVE or self.clock() < self.until

    def watch(self, store: Store) -> None:
        """Look every second whether somebody has changed it."""
        self._loop = asyncio.create_task(every(_LOOK_SECONDS, partial(self.look, store)))

    async def stop(self) -> None:
        """Look no more."""
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def look(self, store: Store) -> None:
        """Read what was said last; what was said before holds while the database is away, until its end."""
        with self._outage.survived():
            self._follow(await store.read(modes.newest))

    def _follow(self, said: modes.Said | None) -> None:
        until = said.until or 0.0 if said and said.mode == OBSERVE else 0.0
        if said and until != self.until:
            self.until = until
            _log(said)


def _log(said: modes.Said) -> None:
    if said.mode == OBSERVE and said.until:
        end = moment_of(said.until)
        log.warning("only observing until %s: %s said so: %s", f"{end:%Y-%m-%dT%H:%M:%SZ}", said.by, said.reason)
    else:
        log.warning("enforcing: %s said so: %s", said.by, said.reason)
