"""Writes how a try at a job of the queue ends: done, put off for a further try, or given up, and somebody is told.

Each function is a whole transaction's work and returns the kinds of the jobs that are given up by it. Nothing is
written where another process has the job by now.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from gatekeeper.delivery.recipients import Result
from gatekeeper.lifecycle import RecipientState
from gatekeeper.notices import Occasion
from gatekeeper.outbox.delivery_reports import FailedDelivery, Told, queue_delivery_report
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.outbox.to_admins import tell_undelivered
from gatekeeper.store import Connection, jobs
from gatekeeper.store.given_up import UNDELIVERABLE, fail_releases, untold_answer
from gatekeeper.store.jobs import Job, Release
from gatekeeper.store.time_bounds import JITTER, pause_after

DELAY_SECONDS = 4 * 3600.0  # after which a sender is told that mail waits (RFC 5321 4.5.4.1)
END_SECONDS = 5 * 86_400.0  # after which it is returned
FINAL = {Result.DELIVERED: RecipientState.SENT, Result.REFUSED: RecipientState.REFUSED}


@dataclass(slots=True)
class JobEndings:
    """How tries at jobs end, by this clock and in this name."""

    letterhead: Callable[[], Letterhead]
    clock: Callable[[], float]

    def letter(self, connection: Connection, job: Job, result: Result, reply: str) -> list[str]:
        """End a try at a letter.

        Of a report that nobody takes its mailing's releases have failed too, and admins are told: nobody else is.
        """
        if not jobs.still_ours(connection, job):
            return []
        if result not in FINAL and not self._is_over(job):
            jobs.put_off(connection, job, self._next_try(job), reply)
            return []
        if result is Result.DELIVERED:
            jobs.finish(connection, job)
            return []
        jobs.finish(connection, job, reply)
        failed = [job.kind]
        if job.kind == jobs.DSN and job.mailing and job.mailing_id:
            failed += [jobs.RELEASE] * fail_releases(connection, job.mailing_id)
            self._tell(connection, job, f"the report to {job.recipient} was given up as well")
        return failed

    def release(self, connection: Connection, job: Job, release: Release, told: list[Told]) -> list[str]:
        """End a try at a release: write who is returned, the report to the sender, and whether the job goes on."""
        if not jobs.still_ours(connection, job):
            return []
        now = self.clock()
        # from the database: a pass that was cut off, by a kill or an outage, has recorded some and reported none
        since_due = jobs.refused_since(connection, release.batch_id, job.due_at)
        refused = [Told(position, recipient, Result.REFUSED, reply) for position, recipient, reply in since_due]
        waiting = [each for each in told if each.result not in FINAL]
        if waiting and self._is_over(job):
            answers = {each.position: (RecipientState.EXPIRED, each.reply) for each in waiting}
            jobs.record_answers(connection, release.batch_id, answers, now)
            refused, waiting = refused + waiting, []
        self._report(connection, job, refused, waiting)
        if jobs.close_batch_if_done(connection, release.batch_id):
            return self._end_release(connection, job, release)
        if jobs.is_released(connection, release.batch_id):
            jobs.put_off(connection, job, self._next_try(job), waiting[0].reply if waiting else "")
        else:
            jobs.finish(connection, job)
        return []

    def _report(self, connection: Connection, job: Job, refused: list[Told], waiting: list[Told]) -> None:
        now, batch = self.clock(), job.batch_id or 0
        failures = []
        if refused:
            failures.append((Occasion.UNDELIVERABLE, refused, f"{UNDELIVERABLE}:{batch}:{job.fence}"))
        if waiting and now - job.queued_at >= DELAY_SECONDS:
            failures.append((Occasion.DELAYED, waiting, f"delayed:{batch}"))
        for occasion, those, once in failures:
            failed = FailedDelivery(batch, occasion, those, once, job.queued_at + END_SECONDS)
            queue_delivery_report(connection, self.letterhead(), failed, now)

    def _end_release(self, connection: Connection, job: Job, release: Release) -> list[str]:
        """End the job of a release; where recipients were refused and nobody is told of it, it has failed."""
        answer = untold_answer(connection, release.mailing_id, release.batch_id)
        jobs.finish(connection, job, answer)
        if answer is None:
            return []
        self._tell(connection, job, "there is nobody to send a report to, or who wants one")
        return [job.kind]

    def fault(self, connection: Connection, job: Job, error: str) -> list[str]:
        """Put off a job that a fault of the gate has ended, so that people see it; give it up after five days."""
        if not jobs.still_ours(connection, job):
            return []
        if not self._is_over(job):
            jobs.put_off(connection, job, self._next_try(job), error)
            return []
        jobs.finish(connection, job, error)
        if job.kind != jobs.NOTICE:
            self._tell(connection, job, error)
        return [job.kind]

    def _tell(self, connection: Connection, job: Job, why: str) -> None:
        if job.mailing and job.mailing_id:
            tell_undelivered(connection, self.letterhead(), job.mailing_id, why, self.clock())

    def _is_over(self, job: Job) -> bool:
        return self.clock() - job.queued_at >= END_SECONDS

    def _next_try(self, job: Job) -> float:
        spread = random.uniform(0.8, JITTER)  # so that not all come back at once
        return self.clock() + pause_after(job.attempts) * spread
