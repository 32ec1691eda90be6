"""The disk of the database is nearly full, and then full: 452 4.3.1, nothing acknowledged, and all well with room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.store.db.space import LEAST_FREE
from tests.faults.scene import Client, Downstream, held_as, message, people, send
from tests.peers import wait_for
from tests.peers.gate import Gate

ROOM = LEAST_FREE + (16 << 20)
FULL = "452 4.3.1 Not sent yet: the mail gate's storage is full, try again later"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that has a little more room than the gate wants; it lies in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a disk can be filled only where a tmpfs can be mounted: run as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Leave only so many octets."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free(disk) - leave)
    return filler


def _free(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def answer_to_mail(gate: Gate) -> str:
    with Client(gate.port) as client:
        client.hello()
        return client.ask("MAIL FROM:<head@doa.example.gov>")


def test_a_disk_that_runs_full(disk):
    mass, everyone = message("mass", 3 << 20), people(2400)
    with Downstream() as downstream, Gate(downstream.address, database=f"sqlite:///{disk}/gate.db") as gate:
        with Client(gate.port) as client:
            client.hello()
            assert client.envelope(everyone).startswith("354")
            filler = fill(disk, leave=0)  # after MAIL, so that only the message's end can tell
            assert client.content(mass) == FULL
        wait_for(lambda: answer_to_mail(gate) == FULL, lambda: answer_to_mail(gate))
        assert not downstream.sink.mails
        filler.unlink()
        filler = fill(disk, leave=LEAST_FREE // 2)
        assert answer_to_mail(gate) == FULL
        filler.unlink()
        wait_for(lambda: answer_to_mail(gate).startswith("250"), lambda: answer_to_mail(gate))
        held_as(send(gate, everyone, mass))
        assert [held["batches"] for held in gate.mailings("held")] == [1]
        assert not downstream.copies(mass)
