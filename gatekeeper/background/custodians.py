"""Reminds custodians of legal holds that they have not acknowledged, as long as the rules remind those who decide."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gatekeeper.lib.moments import moment_of
from gatekeeper.lifecycle import PreserveState
from gatekeeper.outbox import to_custodians
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, preserves
from gatekeeper.store.events import REMINDED, Event, record
from gatekeeper.store.preserves import PreserveView


def due_holds(connection: Connection, ruleset: Ruleset, now: float) -> list[int]:
    """Return the numbers of holds of which somebody is to be reminded now."""
    found = preserves.list_preserves(connection, PreserveState.IN_FORCE)
    return [int(hold.id.removeprefix("H-")) for hold in found if any(_waiting(hold, ruleset, now))]


def _waiting(hold: PreserveView, ruleset: Ruleset, now: float) -> Iterator[str]:
    """Yield custodians who were told so long ago, and have not acknowledged it."""
    after = partial(moment_after, calendar_of(ruleset), span=ruleset.held.remind)
    for one in hold.custodians if not hold.silent else ():
        last = one.reminded_at or one.told_at
        if last is None or one.acknowledged_at is not None:
            continue
        again = after(moment_of(last))
        if again is not None and moment_of(now) >= again:
            yield one.address


def remind(connection: Connection, letterhead: Letterhead, number: int, now: float) -> str | None:
    """Remind the custodians of a hold, if that is still due; return a line for the log."""
    hold = preserves.find_preserve(connection, number, lock=True)
    if hold is None or hold.state is not PreserveState.IN_FORCE:
        return None
    waiting = sorted(_waiting(hold, letterhead.ruleset, now))
    if not waiting:
        return None
    to_custodians.tell(connection, letterhead, hold, waiting, now)
    preserves.told(connection, hold, waiting, now)
    record(connection, Event(now, REMINDED, text=", ".join(waiting), preserve_id=hold.key))
    return f"{hold.id} {REMINDED} nrcpt={len(waiting)}"
