"""Log the head of the chain of acts after each act, whoever did it: with it, every act before it can be verified.

A command has no log, and whoever changes the database may do so by commands; the log is the gate's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.audit.recorder import log_head
from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.store import OutageLog, Store, audit_chain

log = logging.getLogger("gatekeeper.audit")
_SECONDS = 1.0


@dataclass(slots=True)
class ActHeads:
    """Logs each head of the chain of acts, from the one that it has at the start."""

    store: Store
    _known: int = -1  # records of the chain whose head was logged last
    _periodic: PeriodicTask = field(init=False, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the look at the chain of acts"), repr=False)

    def __post_init__(self) -> None:
        self._periodic = PeriodicTask(_SECONDS, self.tell, at_once=True)

    def start(self) -> None:
        """Work from now on."""
        self._periodic.start()

    async def stop(self) -> None:
        """Work no more."""
        await self._periodic.stop()

    async def tell(self) -> None:
        """Log the heads that are new."""
        with self._outage.survived():
            for chain, records, head in await self.store.read(partial(audit_chain.heads_of_acts, after=self._known)):
                log_head(chain, records, head)
                self._known = records
