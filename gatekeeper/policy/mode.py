"""Whether the gate enforces its verdicts or only observes: by setting, or by `gatekeeper mode` for a time.

The end of a time of observing is compared at each message, so that it ends even where everything else has stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.lib.moments import moment_of
from gatekeeper.store import OutageLog, Store, modes

log = logging.getLogger("gatekeeper.mode")
OBSERVE, ENFORCE = "observe", "enforce"
_REFRESH_SECONDS = 1.0


@dataclass(slots=True)
class Mode:
    """The mode of this process."""

    setting: str = ENFORCE
    clock: Callable[[], float] = time.time
    until: float = 0.0  # end of a time of observing that a person began; seconds since 1970
    _refreshing: PeriodicTask | None = field(default=None, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the mode"), repr=False)

    @property
    def observes(self) -> bool:
        """True where the gate holds, gathers, refuses and bounces nothing."""
        return self.setting == OBSERVE or self.clock() < self.until

    def start(self, store: Store) -> None:
        """Refresh the mode from the database every second from now on."""
        self._refreshing = PeriodicTask(_REFRESH_SECONDS, partial(self.refresh, store))
        self._refreshing.start()

    async def stop(self) -> None:
        """Stop refreshing."""
        if self._refreshing:
            await self._refreshing.stop()

    async def refresh(self, store: Store) -> None:
        """Refresh the mode from the database. On StoreError the last known mode stays until its own end."""
        with self._outage.survived():
            self._follow(await store.read(modes.newest))

    def _follow(self, change: modes.ModeChange | None) -> None:
        until = change.until or 0.0 if change and change.mode == OBSERVE else 0.0
        if change and until != self.until:
            self.until = until
            _log(change)


def _log(change: modes.ModeChange) -> None:
    if change.mode == OBSERVE and change.until:
        end = moment_of(change.until)
        log.warning("only observing until %s: %s said so: %s", f"{end:%Y-%m-%dT%H:%M:%SZ}", change.by, change.reason)
    else:
        log.warning("enforcing: %s said so: %s", change.by, change.reason)
