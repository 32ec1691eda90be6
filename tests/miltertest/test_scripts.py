"""miltertest says what the scripts beside this file have, to a running gate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import free_port, require
from tests.peers.gate import RULES, Gate

HERE = Path(__file__).parent
DEFERRING = "  - {id: later, when: {subject: {like: '*winner*'}}, then: defer, say: Not today.}\n"


@pytest.fixture(scope="module")
def milter() -> Iterator[tuple[Gate, int]]:
    require("miltertest")
    port = free_port()
    flags = ["--milter", f"127.0.0.1:{port}", "--max-size", "1MB"]
    with Gate("maildir:mail", rules=RULES + DEFERRING, flags=flags) as gate:
        yield gate, port


def run(script: str, port: int) -> None:
    done = subprocess.run(
        [require("miltertest"), "-v", "-s", script],
        cwd=HERE,
        env=os.environ | {"MILTER": f"inet:{port}@127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}{done.stderr}"


@pytest.mark.parametrize("script", ["stages", "bodies"])
def test_a_script_runs_to_its_end(milter: tuple[Gate, int], script: str) -> None:
    run(f"{script}.lua", milter[1])


def test_verdicts_are_told_and_what_is_held_is_one_batch(milter: tuple[Gate, int]) -> None:
    gate, port = milter
    run("verdicts.lua", port)
    run("verdicts.lua", port)  # all of it again
    (held,) = gate.mailings("held")
    assert (held["subject"], held["users"], held["batches"]) == ("enrolment", 2600, 1)


def test_aborts_leave_nothing_behind(milter: tuple[Gate, int]) -> None:
    gate, port = milter
    before = gate.metric("gatekeeper_messages_total", listener="milter", verdict="relay")
    run("aborts.lua", port)
    assert gate.metric("gatekeeper_messages_total", listener="milter", verdict="relay") == before + 9
