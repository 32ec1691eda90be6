"""Letters about requests leave for a reader in the order in which they were written; no other letter waits for them."""

from __future__ import annotations

from functools import partial

import pytest

from gatekeeper.outbox.letterhead import once_name
from gatekeeper.store import jobs

NOW, HEAD, CIO = 1_000.0, "head@doa.example.gov", "cio@example.gov"


def queue(connection, step, about, reader=HEAD):
    once = once_name(step, about, reader)
    job = jobs.NewJob(jobs.NOTICE, NOW, once=once, recipient=reader, content=f"{about} {step}".encode())
    assert jobs.enqueue(connection, job)


def lease(store, now=NOW):
    """Lease what is due; jobs by what they tell."""
    leased = store.call(partial(jobs.lease, now=now, seconds=30.0, limit=10))
    return {job.content.decode(): job for job in leased}


@pytest.fixture
def put_off(store):
    """A letter about a request that its reader's server did not take for now."""
    store.call(partial(queue, step="submitted:1.000", about="R-1"))
    (job,) = lease(store).values()
    store.call(partial(jobs.put_off, job=job, due=NOW + 600, error="451 4.7.1 Later"))
    return job


def test_one_that_failed_for_good_holds_nothing_back(store, put_off):
    store.call(partial(queue, step="approved:2.000", about="R-1"))
    (first,) = lease(store, NOW + 600).values()
    store.call(partial(jobs.finish, job=first, error="550 5.1.1 No such user"))
    assert list(lease(store, NOW + 600)) == ["R-1 approved:2.000"]


@pytest.mark.parametrize("about", ["P-1", "R-1"])
def test_another_readers_letter_does_not_wait(store, put_off, about):
    store.call(partial(queue, step="told:2.000", about=about, reader=CIO))
    assert list(lease(store)) == [f"{about} told:2.000"]


def test_an_emergency_does_not_wait_for_a_letter_about_a_request(store, put_off):
    store.call(partial(queue, step="told:2.000", about="P-1"))
    store.call(partial(queue, step="reminded:3.000", about="P-1"))
    assert list(lease(store)) == ["P-1 told:2.000", "P-1 reminded:3.000"]
