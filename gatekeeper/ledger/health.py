"""Says how the gate is, for admins, and lets it only observe for a while (DESIGN 8: `mode`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatekeeper.ledger import context
from gatekeeper.ledger.context import LedgerError, NotAllowed, VerbContext, require_reason
from gatekeeper.lib.immutable import immutable
from gatekeeper.policy.mode import ENFORCE, OBSERVE
from gatekeeper.store import Connection, deliveries, jobs, modes, rulesets, views
from gatekeeper.store.modes import ModeChange, Process
from gatekeeper.store.views import LedgerCounts

LONGEST_SECONDS = 7 * 86_400.0  # of observing; for longer, the setting is changed
_ROLES = ("admin", "approver")
_MOST_JOBS = 50  # that are shown
_DAY = 86_400.0


@immutable
class Health:
    """How the gate is now."""

    observing: ModeChange | None  # who let it only observe, and until when; None where nobody did
    processes: Sequence[Process]  # that were there within the last minute
    rules: str  # digest of the rules in force
    counts: LedgerCounts
    waiting: Sequence[dict[str, Any]]  # jobs that are late, or have failed before, the oldest first
    failed: Sequence[dict[str, Any]]  # jobs that were given up lately
    now: float
    took: Sequence[float] = ()  # seconds from release to the next hop's answer, of the last batches of 24 hours
    a_minute: float | None = None  # recipients, while these were sent

    @property
    def problems(self) -> list[str]:
        """What somebody should look at, as words for `/health`; [] where all is well."""
        return [
            *(["processes"] if not self.processes else []),
            *(["rules"] if any(each.problem or each.rules != self.rules for each in self.processes) else []),
            *(["sources"] if any(each.state != "fresh" for each in self.counts.sources) else []),
            *(["queue"] if self.failed or any(each["attempts"] for each in self.waiting) else []),
            *(["observing"] if self.observing else []),
        ]


def health(ctx: VerbContext) -> Health:
    """Return how the gate is. Raises NotAllowed for whoever is no admin."""
    if not context.holds(ctx.ruleset, ctx.act.by, "admin"):
        raise NotAllowed(f"{ctx.act.by} may not look at the gate itself: an admin may")
    return find_health(ctx.connection, ctx.now)


def find_health(connection: Connection, now: float) -> Health:
    """Return how the gate is at that moment."""
    changed, stored = modes.newest(connection), rulesets.in_force(connection)
    observing = changed is not None and changed.mode == OBSERVE and (changed.until or 0) > now
    waiting = [each for each in jobs.waiting_jobs(connection) if each["attempts"] or each["due_at"] < now - 60]
    sent = deliveries.last_sent(connection, now)
    return Health(
        observing=changed if observing else None,
        processes=modes.list_processes(connection, now - modes.SEEN_SECONDS),
        rules=stored.digest if stored else "",
        counts=views.summarise(connection),
        waiting=waiting[:_MOST_JOBS],
        failed=jobs.failed_jobs(connection, now - jobs.FAILED_SECONDS)[-_MOST_JOBS:],
        now=now,
        took=deliveries.seconds_taken(connection, sent),
        a_minute=deliveries.pace_of(connection, sent, now - _DAY).a_minute,
    )


def change_mode(ctx: VerbContext, mode: str, seconds: float | None) -> None:
    """Let the gate only observe for so many seconds, or enforce again. Raises NotAllowed, LedgerError."""
    require_reason(ctx, "a change of the mode needs a reason: the audit keeps it")
    act = ctx.act
    if not context.holds(ctx.ruleset, act.by, *_ROLES):
        allowed = sorted({address for role in _ROLES for address in ctx.ruleset.people_with(role)})
        names = ", ".join(allowed) or "nobody: name an admin under people in rules.yaml"
        raise NotAllowed(f"{act.by} may not change the mode; who may: {names}")
    if mode == ENFORCE:
        seconds = None
    elif seconds is None or not 0 < seconds <= LONGEST_SECONDS:
        raise LedgerError("observing ends by itself: expected a time of at most 7d; for longer, set --mode observe")
    until = None if seconds is None else act.at + seconds
    modes.change(ctx.connection, ModeChange(act.at, mode, until, act.by, act.login, act.reason))
