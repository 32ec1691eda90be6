"""No 250 of kept mail before the disk has it: the system calls of a running gate, in their order.

A killed process loses nothing that it has written; only a machine that fails does. So nothing but the order of calls
can show that the gate waits for the disk.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.scene import SENDER, Downstream, message, people
from tests.peers import require
from tests.peers.gate import RULES, Gate

CALLS = "pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg"
KEPT = re.compile(r'"250 2\.0\.0 (Held for approval|M-\d+ not sent yet)')
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)")
GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {at: [50], quiet: 20s, limit: 10m}}")
CARELESS = """
import sqlite3, sqlite3.dbapi2
class Careless(sqlite3.Connection):
    def execute(self, words, *more):
        return super().execute(words.replace("synchronous=FULL", "synchronous=OFF"), *more)
def connect(*given, kept=sqlite3.connect, **more):
    return kept(*given, factory=Careless, **more)
sqlite3.connect = sqlite3.dbapi2.connect = connect
"""


def answers(calls: Path) -> list[bool]:
    """Of each 250 for kept mail, whether all that the writer had put in the database's log before was on the disk.

    The writer is the thread that writes most to it: others write what nobody waits for.
    """
    found = [(match[1], match[2], line) for line in calls.read_text().splitlines() if (match := CALL.match(line))]
    logged = Counter(thread for thread, call, line in found if call == "pwrite64" and "gate.db-wal" in line)
    writer = logged.most_common(1)[0][0]
    is_written, told = False, []
    for thread, call, line in found:
        if thread == writer and call == "pwrite64" and "gate.db-wal" in line:
            is_written = True
        elif thread == writer and call in ("fdatasync", "fsync") and "unfinished" not in line:
            is_written = False
        elif KEPT.search(line):
            told.append(not is_written)
    return told


def keep_some(folder: Path, environment: dict[str, str]) -> list[bool]:
    calls = folder / "calls"
    traced = [
        require("strace"),
        "-D",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "60",
        "-e",
        f"trace={CALLS}",
        "-o",
        str(calls),
    ]
    with Downstream() as downstream:
        gate = Gate(downstream.address, rules=GATHER, within=traced, environment=environment)
        with gate:
            for number in range(2):
                everyone = [f"u{each}.{number}@dphhs.example.gov" for each in range(50)]
                assert gate.send(SENDER, everyone, message(f"cut {number}"))[0] == 250
                assert gate.send(SENDER, people(2400), message(f"whole {'abc'[number] * 9}", 60_000))[0] == 250
            gate.terminate()
    return answers(calls)


def test_each_250_of_kept_mail_follows_its_sync(tmp_path):
    assert keep_some(tmp_path, {}) == [True] * 4


def test_a_gate_that_does_not_wait_for_the_disk_is_seen(tmp_path):
    """What the test above would say of `synchronous=OFF`."""
    (tmp_path / "sitecustomize.py").write_text(CARELESS)
    found = keep_some(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert len(found) == 4 and not any(found)


@pytest.mark.parametrize(("call", "kept"), [("fdatasync(9</x/gate.db-wal>) = 0", True), ("write(9, x) = 1", False)])
def test_only_a_sync_after_the_last_write_counts(tmp_path, call, kept):
    path = tmp_path / "calls"
    written, told = (
        '7  pwrite64(9</x/gate.db-wal>, ""..., 24, 0) = 24',
        '5  write(4, "250 2.0.0 Held for approval", 9) = 9',
    )
    path.write_text(f"{written}\n7  {call}\n{told}\n")
    assert answers(path) == [kept]
