"""Writes to the database that this process runs, and by which rules: `gatekeeper mode` lists all processes."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.policy.mode import Mode
from gatekeeper.store import Connection, OutageLog, Store, modes

log = logging.getLogger("gatekeeper.heartbeat")
_SECONDS = 15.0
_FORGOTTEN_SECONDS = 86_400.0


@dataclass(slots=True)
class Heartbeat:
    """The entry of one process in the list of running processes."""

    name: str
    active_policy: ActivePolicy
    mode: Mode
    store: Store
    problem: Callable[[], str] = lambda: ""  # why the rules on disk cannot be used
    _periodic: PeriodicTask | None = field(default=None, repr=False)
    _started_at: float = 0.0
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the list of running processes"), repr=False)

    def start(self) -> None:
        """Write the entry now and every 15 seconds."""
        self._started_at = self.store.now()
        self._periodic = PeriodicTask(_SECONDS, self.tell, at_once=True)
        self._periodic.start()

    async def stop(self) -> None:
        """Remove the entry."""
        if self._periodic is None:
            return
        await self._periodic.stop()
        await self._run(partial(modes.forget_process, name=self._full_name))

    async def tell(self) -> None:
        """Write the entry and the clock of this process now; what fails is tried again the next time."""
        await self._run(self.store.database.clock.tell)
        now, policy = self.store.now(), self.active_policy.current
        digests = policy.ruleset.digest, policy.directory.digest
        process = modes.Process(self._full_name, self._started_at, now, self.mode.setting, *digests, self.problem())
        await self._run(partial(modes.report_process, process=process))
        await self._run(partial(modes.forget_processes, before=now - _FORGOTTEN_SECONDS))

    @property
    def _full_name(self) -> str:
        return f"{self.name} on {socket.gethostname()}, process {os.getpid()}"[:120]

    async def _run(self, function: Callable[[Connection], None]) -> None:
        with self._outage.survived():
            await self.store.run(function)
