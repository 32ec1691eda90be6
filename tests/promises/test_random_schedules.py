"""Promise 1, never past the limit, and what goes with it, over random schedules.

A failure prints its seed. To play that one again, on both databases:

    SEEDS=full:17,small:3 pytest tests/promises/test_random_schedules.py
"""

from __future__ import annotations

import os
from collections import Counter
from tempfile import TemporaryDirectory

import pytest

from gatekeeper.store import Database, Store
from tests.promises.play import play
from tests.promises.schedule import make
from tests.store.databases import memory

QUICK = {"small": (0, 18, 25, 26, 57, 62, 102, 245, 275, 312, 385), "medium": (2, 14, 59), "full": (27, 38)}
LONG = {"small": 300, "medium": 130, "full": 70}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    """A new database; SQLite's in memory where that can be, for nothing here hangs on what a disk has."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_url")
        return
    with TemporaryDirectory(dir=memory() or tmp_path) as folder:
        yield f"sqlite:///{folder}/gate.db"


@pytest.fixture
def office(url):
    store = Store(Database(url, timeout=10))
    store.open()
    yield store
    store.close()


async def play_all(seeds, url, folder, office, monkeypatch, failures=None):
    """Play schedules one after another; who fails says with which seed, into `failures` where there is such a list."""
    figures, stores = Counter(), []
    try:
        for scale, seed in seeds:
            try:
                figures += await play(make(str(seed), scale), url, folder, office, stores, monkeypatch)
            except (AssertionError, TimeoutError) as error:
                error.add_note(f"seed {scale}:{seed}, to be played again with SEEDS={scale}:{seed}")
                if failures is None:
                    raise
                failures.append(error)
    finally:
        for store in stores:
            store.close()
    return figures


def chosen():
    """Those named by SEEDS, else a few in which much happens."""
    if named := os.environ.get("SEEDS"):
        return [tuple(each.split(":")) for each in named.split(",")]
    return [(scale, seed) for scale, seeds in QUICK.items() for seed in seeds]


async def test_no_schedule_passes_the_limit(url, tmp_path, office, monkeypatch):
    figures = await play_all(chosen(), url, tmp_path, office, monkeypatch)
    assert figures["schedules"] == len(chosen())


@pytest.mark.soak
@pytest.mark.parametrize("scale", LONG)
async def test_no_schedule_of_five_hundred_passes_the_limit(url, tmp_path, office, monkeypatch, capsys, scale):
    seeds, failures = range(1000, 1000 + LONG[scale]), []
    figures = await play_all([(scale, seed) for seed in seeds], url, tmp_path, office, monkeypatch, failures)
    with capsys.disabled():
        print(f"\n{url.partition(':')[0]}, seeds {scale}:{seeds[0]} to {scale}:{seeds[-1]}: {dict(figures)}")
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(seeds)} schedules", failures)
    assert figures["schedules"] == len(seeds)
