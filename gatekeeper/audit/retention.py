"""Recorded decisions grow old: small groups of them are merged, and those past `audit: keep:` are removed.

That something was removed, and how much, is itself recorded (policy C7).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.audit.preserving import lines_kept
from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.lib.moments import moment_of
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.rules import Ruleset
from gatekeeper.rules.record_classes import DECISIONS
from gatekeeper.store import OutageLog, Store, audit_ageing, preserved
from gatekeeper.store.audit_ageing import Ageing

log = logging.getLogger("gatekeeper.audit")
_SECONDS = 60.0
_AT_ONCE = 20  # blocks of a commit: what is preserved is looked for in each of them
_SETTLED_SECONDS = 60.0  # after which groups are merged


@dataclass(slots=True)
class Retention:
    """Keeps the audit small; any number of these share a database."""

    active_policy: ActivePolicy
    store: Store
    _looked_at: frozenset[int] = field(default=frozenset(), init=False, repr=False)
    _preserved: str = field(default="", init=False, repr=False)
    _periodic: PeriodicTask = field(init=False, repr=False)
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the tidying up of the audit"), repr=False)

    def __post_init__(self) -> None:
        self._periodic = PeriodicTask(_SECONDS, self.tidy)

    def start(self) -> None:
        """Work from now on."""
        self._periodic.start()

    async def stop(self) -> None:
        """Work no more."""
        await self._periodic.stop()

    async def tidy(self) -> None:
        """Merge and remove what there is."""
        with self._outage.survived():
            await self._merge()
            await self._age_out()

    async def _merge(self) -> None:
        before = self.store.now() - _SETTLED_SECONDS
        # found and packed beside the writer, so that mail waits only for the rows to be exchanged
        while merger := await self.store.read(partial(audit_ageing.find_block_merge, before=before)):
            if not await self.store.run(partial(audit_ageing.merge, merger=merger)):
                return

    async def _age_out(self) -> None:
        now, ruleset = self.store.now(), self.active_policy.current.ruleset
        before = _cutoff(ruleset, DECISIONS, now)
        if before is None:
            return
        removed = 1
        while removed:
            ageing = Ageing(before, _AT_ONCE, lines_kept, await self._spared())
            aged = await self.store.run(partial(audit_ageing.age, ageing=ageing, now=now))
            self._looked_at |= aged.spared
            removed = aged.records + len(aged.spared)
            if aged.records:
                log.info("audit: %d records were older than the rules keep them", aged.records)

    async def _spared(self) -> frozenset[int]:
        """Return blocks that were looked at and kept; none once anything else is preserved, or no longer."""
        state = await self.store.read(preserved.state)
        if state != self._preserved:
            self._preserved, self._looked_at = state, frozenset()
        return self._looked_at


def _cutoff(ruleset: Ruleset, name: str, now: float) -> float | None:
    cutoff = ruleset.due_before(name, moment_of(now))
    return None if cutoff is None else cutoff.timestamp()
