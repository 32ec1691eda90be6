"""Of all who claim the one use of a permit at once exactly one gets it, in whatever process and on both databases."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from gatekeeper.ledger.service import Terms
from gatekeeper.store import Database, Store
from tests.ledger.scene import CIO, SENDER, TODAY, Scene, limited
from tests.store.arrivals import people

# each message is a mailing of its own, so that each claims
SEPARATE = limited(20).replace("gather: off}", f"gather: off, separate: [{SENDER}]}}")
SMALL = {"users": 2400, "planned": TODAY}


def approve(scene):
    scene.ask(**SMALL)
    return scene.service.approve_request(len(scene.service.requests().rows), CIO, terms=Terms(uses=1)).permit


async def test_of_many_claims_at_once_one_wins(store, tmp_path):
    scene = Scene(store, tmp_path, SEPARATE)
    approve(scene)
    replies = await asyncio.gather(*(scene.send(people(30, start=start)) for start in range(40)))
    assert sum("queued" in reply.text for reply in replies) == 1
    assert (scene.permit().used, len(scene.permit().mailings), len(scene.hop.added)) == (1, 1, 1)


def compete(url, folder, processes, claims, runs):
    """How many passed, a run."""
    rules = folder / "rules.yaml"
    rules.write_text(SEPARATE)
    passed = []
    for run in range(runs):
        store = Store(Database(url, timeout=30))
        store.open()
        approve(Scene(store, folder, SEPARATE))
        store.close()
        command = [sys.executable, "-m", "tests.ledger.claiming", url, str(rules)]
        workers = [
            subprocess.Popen(
                [*command, str(run * 10_000 + place * 100), str(claims)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for place in range(processes)
        ]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        passed.append(sum(int(worker.communicate(timeout=300)[0]) for worker in workers))
    return passed


def test_of_several_processes_one_wins(database_url, tmp_path):
    assert compete(database_url, tmp_path, processes=2, claims=5, runs=1) == [1]


@pytest.mark.soak
def test_two_hundred_claims_of_one_use_by_four_processes_fifty_times(database_url, tmp_path):
    assert compete(database_url, tmp_path, processes=4, claims=50, runs=50) == [1] * 50
