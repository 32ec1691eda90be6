"""A job that is queued at one node wakes the queues of all."""

from __future__ import annotations

import threading
from functools import partial

import psycopg
import pytest

from gatekeeper.store import Database, Store, WakeupListener, jobs
from tests.peers import wait_for

PATIENCE = 30.0


@pytest.fixture
def heard():
    return threading.Semaphore(0)


@pytest.fixture
def bell(store, heard):
    listening = WakeupListener(Database(store.database.url.render_as_string(hide_password=False), 5), heard.release)
    listening.start()
    yield listening
    listening.stop()


def queue(store: Store, once: str) -> bool:
    return store.call(partial(jobs.enqueue, job=jobs.NewJob(jobs.NOTICE, 0.0, once=once, recipient="a@example.gov")))


@pytest.fixture
def store(postgres_url):
    opened = Store(Database(postgres_url, 5))
    opened.open()
    yield opened
    opened.close()


def test_a_job_rings_and_one_that_was_queued_before_does_not(store, bell, heard):
    assert heard.acquire(timeout=PATIENCE), "told when it begins to listen: something may have come before"
    assert queue(store, "x") and heard.acquire(timeout=PATIENCE)
    assert not queue(store, "x") and not heard.acquire(timeout=1)


def test_it_listens_again_after_its_connection_was_lost_and_says_that_it_may_have_missed_something(store, bell, heard):
    wait_for(lambda: bell.works, str, PATIENCE)
    assert heard.acquire(timeout=PATIENCE)
    url = store.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert heard.acquire(timeout=PATIENCE) and bell.works
    assert queue(store, "y") and heard.acquire(timeout=PATIENCE)


def test_sqlite_has_none(tmp_path, heard):
    bell = WakeupListener(Database(f"sqlite:///{tmp_path}/gate.db", 5), heard.release)
    bell.start()
    assert not bell.works and not heard.acquire(timeout=0.1)
    bell.stop()
