"""Reads what is searched while the gate runs, a little at a time, off the path of mail."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from gatekeeper.archive.texts import catch_up
from gatekeeper.lib.aio import PeriodicTask, run_long
from gatekeeper.store import OutageLog, Store

log = logging.getLogger("gatekeeper.records")
_SECONDS = 20.0
_PATIENCE = 5.0  # seconds
_STEPS = 3  # a time: a search reads the rest itself


@dataclass(slots=True)
class TextDuty:
    """Reads what is new; any number of these share a database."""

    store: Store
    _is_ending: bool = False
    _reading: asyncio.Future[int] | None = None
    _periodic: PeriodicTask = field(init=False, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "reading what is searched"), repr=False)

    def __post_init__(self) -> None:
        self._periodic = PeriodicTask(_SECONDS, self.read)

    def start(self) -> None:
        """Work from now on."""
        self._periodic.start()

    async def stop(self) -> None:
        """Work no more; what is being read is finished first, as the database is closed then."""
        self._is_ending = True
        await self._periodic.stop()
        if self._reading is not None and not self._reading.done():
            await asyncio.wait([self._reading], timeout=_PATIENCE)

    async def read(self) -> None:
        """Read some of what is new."""
        with self._outage.survived():
            self._reading = asyncio.ensure_future(run_long(catch_up, self.store, _STEPS, lambda: self._is_ending))
            await asyncio.shield(self._reading)
