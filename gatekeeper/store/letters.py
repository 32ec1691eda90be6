"""Letters to those who decide: which were queued singly of late, and which wait to be sent as one list.

A letter that waits for its list is a notice in the queue without content, due when the list is. Whoever leases the
first of them writes the list, and ends the others of that reader.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import jobs, mailings
from gatekeeper.store.jobs import NOTICE, Job

_STATES = ("due", "done", "failed")


@immutable
class SingleLetter:
    """A letter to one reader about one mailing."""

    reader: str  # the end of its job's name
    at: float
    mailing: int
    origin: str
    subject: str


@immutable
class ListedLetter:
    """A letter that waits for its reader's list."""

    reader: str  # address
    mailing: int | None
    due: float


def single_letters(connection: Connection, steps: Iterable[str], since: float) -> list[SingleLetter]:
    """Return the letters queued since then, oldest first. Args: `steps` with which the names of their jobs begin."""
    query = (
        select(jobs.c.once, jobs.c.queued_at, jobs.c.mailing_id, mailings.c.sender, mailings.c.subject)
        .join(mailings, mailings.c.id == jobs.c.mailing_id)
        .where(jobs.c.state.in_(_STATES), jobs.c.due_at > since, jobs.c.queued_at > since, jobs.c.kind == NOTICE)
        .where(or_(*(jobs.c.once.like(f"{step}:%") for step in steps)))
        .order_by(jobs.c.id)
    )
    return [
        SingleLetter(once.rpartition(":")[2], at, mailing, origin or "", subject or "")
        for once, at, mailing, origin, subject in connection.execute(query)
    ]


def listed_letters(connection: Connection, readers: Iterable[str]) -> list[ListedLetter]:
    """Return the letters to these people that wait for a list."""
    query = select(jobs.c.recipient, jobs.c.mailing_id, jobs.c.due_at).where(*_LISTED)
    found = connection.execute(query.where(jobs.c.recipient.in_(list(readers))))
    return [ListedLetter(*row) for row in found]


def take_list(connection: Connection, job: Job) -> list[int] | None:
    """End all letters to the job's reader that wait for a list, but for the job itself; return their mailings.

    None where another process has taken the list. The rows are locked in one order.
    """
    query = select(jobs.c.id, jobs.c.fence, jobs.c.mailing_id).where(*_LISTED, jobs.c.recipient == job.recipient)
    found = connection.execute(query.order_by(jobs.c.id).with_for_update()).all()
    if (job.id, job.fence) not in {(row.id, row.fence) for row in found}:
        return None
    others = update(jobs).where(jobs.c.id.in_([row.id for row in found if row.id != job.id]))
    ended = {"state": "done", "recipient": None, "lease_until": 0.0, "fence": jobs.c.fence + 1}
    connection.execute(others.values(**ended))
    return list(dict.fromkeys(row.mailing_id for row in found if row.mailing_id is not None))


def write_list(connection: Connection, job: Job, content: bytes) -> None:
    """Make the job a letter with that content."""
    connection.execute(update(jobs).where(jobs.c.id == job.id, jobs.c.fence == job.fence).values(content=content))


_LISTED = (jobs.c.state == "due", jobs.c.kind == NOTICE, jobs.c.content.is_(None))
