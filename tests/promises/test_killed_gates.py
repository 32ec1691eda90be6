"""The same with real processes: a mailing in sixty batches, sent again and again while they are killed."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.scene import Downstream, approve, message, people, send, wait_queue_empty
from tests.peers import wait_for
from tests.peers.gate import RULES
from tests.workers.scene import gate_of, kill, start, wait_replaced

GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {at: [50], quiet: 60s, limit: 10m}}")
EVERYONE = people(3000)
PATIENCE = 300.0  # seconds for a batch to be taken, on a busy machine


def insist(gate, recipients, content):
    """Send it as an MTA does, again and again, until it is taken."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            answer = send(gate, recipients, content)
        except (OSError, TimeoutError):
            answer = ""
        if answer.startswith("250"):
            return answer
        time.sleep(0.5)
    raise AssertionError(f"never taken: {answer}")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_sixty_batches_and_four_killed_processes(seed, database_url):
    chance, content = random.Random(seed), message(f"killed {seed}")
    database = None if database_url.startswith("sqlite") else database_url
    with Downstream() as downstream, gate_of(3, downstream, rules=GATHER, database=database) as gate:
        with ThreadPoolExecutor(8) as pool:
            cuts = [EVERYONE[start : start + 50] for start in range(0, 3000, 50)]
            coming = [pool.submit(insist, gate, cut, content) for cut in cuts]
            for name in chance.sample(["worker-1", "worker-2", "worker-3", "office"], 4):
                time.sleep(chance.uniform(0, 1.5))
                wait_replaced(gate, name, kill(gate, name))
            answers = [each.result() for each in coming]
        assert all("not sent yet" in answer for answer in answers)
        gate.kill()
        start(gate)
        assert not downstream.copies(content)
        (mailing,) = gate.mailings()
        assert (mailing["users"], mailing["state"], mailing["sent"]) == (3000, "held", 0)
        approve(gate, mailing["id"])
        wait_queue_empty(gate)
        wait_for(lambda: downstream.copies(content).total() >= 3000, gate.log, PATIENCE)
        assert downstream.copies(content) == dict.fromkeys(EVERYONE, 1)
