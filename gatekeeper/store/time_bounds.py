"""Shorten stored times that lie absurdly far ahead: a process whose clock was hours ahead has written them.

After a start no stored time is waited for longer than its own length: a lease for as long as leases are given, a retry
for its pause, a gather for its limit. A living process renews its lease within a quarter of
its length, so that shortening one takes nothing from anybody.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.store.db.schema import flights, jobs, mailings
from gatekeeper.store.jobs import NOTICE
from gatekeeper.store.permit_uses import FLIGHT_SECONDS

FIRST_PAUSE, LONGEST_PAUSE, JITTER = 2.0, 1800.0, 1.2  # seconds between two tries of a job, and what chance adds
LIST_SECONDS = 3600.0  # for which letters to one reader are put off at most, to come as one list
_SLACK_SECONDS = 60.0  # by which the clocks of two nodes, or of a job that was put off on purpose, may differ


@immutable
class WaitLimits:
    """How long leases and gathers last, in seconds."""

    lease: float
    quiet: float
    gather: float = 0.0  # for which an open gather waits after a start


def pause_after(attempts: int) -> float:
    """Return the seconds between a failed try and the next, after so many tries, without jitter."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts, 20))


def bound_stored_times(connection: Connection, now: float, limits: WaitLimits) -> int:
    """Shorten every stored time that lies further ahead than its own length; return how many there were."""
    return sum(
        (
            _bound_leases(connection, now, limits.lease),
            _bound_retries(connection, now),
            _bound_gathers(connection, now, limits),
            _bound_flights(connection, now),
        )
    )


def _bound_leases(connection: Connection, now: float, lease: float) -> int:
    absurd = now + lease + _SLACK_SECONDS
    of_jobs = update(jobs).where(jobs.c.state == "due", jobs.c.lease_until > absurd)
    of_gathers = update(mailings).where(mailings.c.state == MailingState.GATHERING, mailings.c.gather_leased > absurd)
    changed = connection.execute(of_jobs.values(lease_until=now + lease)).rowcount
    return changed + connection.execute(of_gathers.values(gather_leased=now + lease)).rowcount


def _bound_retries(connection: Connection, now: float) -> int:
    late = select(jobs.c.id, jobs.c.attempts, jobs.c.due_at, jobs.c.queued_at, jobs.c.kind, jobs.c.content.is_(None))
    late = late.where(jobs.c.state == "due", jobs.c.due_at > now + _SLACK_SECONDS)
    found = connection.execute(late.with_for_update(skip_locked=True)).all()
    absurd = [row for row in found if row.due_at > now + _longest_of(row)]
    for row in absurd:
        values = {"due_at": now, "queued_at": min(row.queued_at, now)}
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(**values))
    return len(absurd)


def _longest_of(row: Row[Any]) -> float:
    """Return how long a job may be put off: until its next try, or until the list that a letter waits for."""
    is_listed = row.kind == NOTICE and row[-1]
    return LIST_SECONDS + _SLACK_SECONDS if is_listed else _longest(row.attempts)


def _longest(attempts: int) -> float:
    return pause_after(attempts) * JITTER + _SLACK_SECONDS


def _bound_gathers(connection: Connection, now: float, limits: WaitLimits) -> int:
    too_long = mailings.c.gather_until > now + max(limits.quiet, limits.gather) + _SLACK_SECONDS
    late = or_(too_long, mailings.c.gather_since > now + _SLACK_SECONDS)
    query = update(mailings).where(mailings.c.state == MailingState.GATHERING, late)
    return connection.execute(query.values(gather_until=now + limits.quiet, gather_since=now)).rowcount


def _bound_flights(connection: Connection, now: float) -> int:
    query = update(flights).where(flights.c.until > now + FLIGHT_SECONDS + _SLACK_SECONDS)
    return connection.execute(query.values(until=now + FLIGHT_SECONDS)).rowcount
