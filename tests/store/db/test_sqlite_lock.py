"""Several processes that write to one SQLite database: all get their turn, and none waits long for it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from gatekeeper.model import Action, Verdict
from gatekeeper.store import Database, Store
from gatekeeper.store.db.sqlite_lock import turn
from tests.store.arrivals import arrival

FORKING = multiprocessing.get_context("fork")


def decide_for(
    path: Path, name: str, streams: int, seconds: float, results: Queue[tuple[int, float, list[str]]]
) -> None:
    """Decide about mail in so many streams; how much it was, the longest wait, and what went wrong."""
    waits, problems = [], []

    async def stream(store: Store, number: int, end: float) -> None:
        while time.monotonic() < end:
            began, message = time.monotonic(), f"{name}-{number}-{len(waits)}"
            sender, body = f"{message}@doa.example.gov", message.encode()
            mail = arrival(["a@example.org"], sender, message, f"{message}@x", body, digest=body.hex())
            try:
                await store.decide(mail, lambda counts, standing: Verdict(Action.RELAY, ()))
            except Exception as error:
                problems.append(repr(error))
            waits.append(time.monotonic() - began)

    async def run() -> None:
        store = Store(Database(f"sqlite:///{path}", timeout=5))
        store.open()
        end = time.monotonic() + seconds
        await asyncio.gather(*(stream(store, number, end) for number in range(streams)))
        store.close()

    asyncio.run(run())
    results.put((len(waits), max(waits), problems))


def contend(path: Path, processes: int, streams: int, seconds: float) -> list[tuple[int, float, list[str]]]:
    results: Queue[tuple[int, float, list[str]]] = FORKING.Queue()
    arguments = [(path, str(each), streams, seconds, results) for each in range(processes)]
    started = [FORKING.Process(target=decide_for, args=each) for each in arguments]
    for each in started:
        each.start()
    found = [results.get(timeout=seconds + 60) for _ in started]
    for each in started:
        each.join()
    return found


@pytest.mark.parametrize(
    ("streams", "seconds"), [(5, 1.5), pytest.param(40, 30, marks=pytest.mark.soak, id="long load of forty")]
)
def test_four_processes_share_a_database(tmp_path, streams, seconds):
    path = tmp_path / "gate.db"
    first = Store(Database(f"sqlite:///{path}", timeout=5))
    first.open()
    first.close()
    found = contend(path, 4, streams, seconds)
    assert [problems for _, _, problems in found] == [[]] * 4
    assert min(number for number, _, _ in found) * 8 > max(number for number, _, _ in found), "some have starved"


def test_the_turn_of_a_process_that_was_killed_is_given_back(tmp_path):
    path = tmp_path / "gate.db"
    has_it = FORKING.Event()

    def hold() -> None:
        with turn(path, 1):
            has_it.set()
            time.sleep(60)

    process = FORKING.Process(target=hold)
    process.start()
    assert has_it.wait(10) and process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    began = time.monotonic()
    with turn(path, 10):
        assert time.monotonic() - began < 5


def test_whoever_does_not_get_it_goes_on_without(tmp_path):
    with turn(tmp_path / "gate.db", 1), turn(tmp_path / "gate.db", 0.01):
        pass
    with turn(tmp_path / "nowhere" / "gate.db", 1):
        pass
