"""Takes the gate's own mails out of the queue, as a worker does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gatekeeper.store import Connection, Store, jobs
from gatekeeper.store.jobs import Job


def as_queued(_: Connection, job: Job) -> bytes | None:
    """What a mail was queued with; of a list that is written when it is due, nothing."""
    return job.content


def take_mails(store: Store, now: float, compose: Callable[[Connection, Job], bytes | None] = as_queued) -> list[Job]:
    """The notices and delivery reports that are due, which are done then; letters about a request come one by one."""

    def take(connection: Connection) -> list[Job]:
        found: list[Job] = []
        while leased := [job for job in jobs.lease(connection, now, 0.0, 500) if job.kind != jobs.RELEASE]:
            for job in leased:
                found.append(replace(job, content=compose(connection, job)))
                jobs.finish(connection, job)
        return found

    return store.call(take)
