"""Processes of a gate that are killed: nothing acknowledged is lost, another takes the place, and the sums stay."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence

from gatekeeper.service.child_process import Child
from gatekeeper.service.messages import StartParameters
from tests.faults.scene import Downstream, message, people, send
from tests.peers import listens, wait_for
from tests.peers.gate import RULES
from tests.workers.scene import acknowledged, gate_of, kill, lives, processes, start, streams, wait_replaced

SENT = {"listener": "smtp", "verdict": "relay"}
GATHER = "mailing: {source: sender, within: 24h, gather: {at: [50], quiet: 2s, limit: 60s}}"


def test_a_worker_is_killed_under_load():
    with Downstream() as downstream, gate_of(2, downstream) as gate:
        with streams(gate, 6) as (running, contents):
            for _ in range(2):
                enough = acknowledged(running) + 30
                wait_for(lambda: acknowledged(running) >= enough, gate.log)  # noqa: B023 - called at once
                counted = gate.metric("gatekeeper_messages_total", **SENT)
                victim = kill(gate, "worker-1")
                wait_replaced(gate, "worker-1", victim)
                assert gate.metric("gatekeeper_messages_total", **SENT) >= counted > 0
        for each in running:
            for name in each.acknowledged:
                assert downstream.copies(contents[name]) == {f"{name}@example.org": 1}, name
        assert gate.metric("gatekeeper_process_restarts_total", kind="worker") == 2
        assert gate.metric("gatekeeper_processes", kind="worker") == 2
        # counted are at least all that were acknowledged: those of the dead too
        assert gate.metric("gatekeeper_messages_total", **SENT) >= acknowledged(running)


def test_the_office_is_killed_while_a_gather_is_due():
    rules = RULES.replace("mailing: {source: sender, within: 24h}", GATHER)
    content = message("gathered")
    with Downstream() as downstream, gate_of(2, downstream, rules=rules) as gate:
        for start in (0, 50, 100):
            assert "not sent yet: counting recipients" in send(gate, people(50, start=start), content)
        victim = kill(gate, "office")
        assert not downstream.copies(content)
        wait_replaced(gate, "office", victim)
        wait_for(lambda: downstream.copies(content).total() >= 150, gate.log)
        assert downstream.copies(content) == dict.fromkeys(people(150), 1)
        (mailing,) = gate.mailings()
        assert (mailing["users"], mailing["sent"], mailing["state"]) == (150, 150, "open")
        assert len(re.findall(r"info gathered M-\d+ batches=3 verdict=relay$", gate.log(), re.MULTILINE)) == 1


def test_the_supervisor_is_killed():
    """Nobody goes on alone: the others finish and end, and a new gate can have the address.

    In the next life each worker is killed at its first decision: its replacement is not, so that mail goes on.
    """
    with Downstream() as downstream, gate_of(2, downstream) as gate:
        children = processes(gate).values()
        assert gate.process is not None
        os.kill(gate.process.pid, signal.SIGKILL)
        assert gate.wait_dead() == -signal.SIGKILL
        wait_for(lambda: not any(map(lives, children)), gate.log)
        assert gate.log().count("the supervisor is gone") == 3
        assert not listens(gate.port)
        start(gate, kill_at="decided:1")
        replies = [send(gate, people(1), message("insisting")) for _ in range(4)]
        assert set(replies) == {"", "250 2.0.0 taken"} and replies.count("") <= 2


def test_pauses_grow_while_lives_are_short():
    async def pauses(lives: Sequence[float]) -> list[float]:
        child = Child("worker-1", StartParameters({}, {}, "", {}), {}, lambda: None, lambda kind: None)
        return [child.pause_after(life) for life in lives]

    assert asyncio.run(pauses([100, 100, 100])) == [0, 0, 0]
    assert asyncio.run(pauses([1] * 5 + [100] + [1] * 2)) == [0, 0.25, 0.5, 1, 2, 0, 0, 0.25]
    assert asyncio.run(pauses([1] * 50))[-1] == 30
