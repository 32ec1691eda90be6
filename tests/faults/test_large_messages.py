"""The largest messages there are, and other clients do not wait for them: the loop is never blocked for long.

What a client sees of a blocked loop is that its NOOP is answered late. On a machine with other work an idle gate
answers late too, so that the longest wait is compared with that of an idle gate in the same run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.scene import SENDER, Downstream, approve, held_as, message, people, send, wait_queue_empty
from tests.peers.gate import Gate

BLOCKED = 0.1  # seconds for which the loop may be blocked
WORSE = 10  # times as long as an idle gate: where that is more than BLOCKED, the machine is to blame
GROWTH = 4  # times the message's size
ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000


def parts(number: int) -> bytes:
    """A message of so many parts, each as small as can be."""
    head = f"From: {SENDER}\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head.encode() + b"--b\r\n\r\n\r\n" * number + b"--b--\r\n"


def nested(depth: int) -> bytes:
    """Messages within messages."""
    inside = b"Content-Type: message/rfc822\r\n\r\n" * depth
    return f"From: {SENDER}\r\nSubject: nested\r\nMIME-Version: 1.0\r\n".encode() + inside + b"x\r\n"


def header_lines(number: int) -> bytes:
    """A header that goes on and on."""
    return f"From: {SENDER}\r\nSubject: header\r\n".encode() + b"X-Line: of a header\r\n" * number + b"\r\nx\r\n"


@dataclass
class Watch:
    """What another client, and the operating system, saw of the gate."""

    gate: Gate
    waits: list[float] = field(default_factory=list)  # seconds that each NOOP took
    before: int = 0  # octets in memory when the watch began

    @property
    def pid(self) -> int:
        assert self.gate.process is not None
        return self.gate.process.pid

    def octets(self, name: str) -> int:
        """VmRSS, or VmHWM, the most there was."""
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def begin(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # VmHWM begins anew
        self.before = self.octets("VmRSS")

    @property
    def growth(self) -> int:
        return self.octets("VmHWM") - self.before


@contextmanager
def watching(gate: Gate) -> Iterator[Watch]:
    watch = Watch(gate)
    watch.begin()
    command = [sys.executable, "-m", "tests.faults.pinger", str(gate.port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pinger:
        assert pinger.stdout and pinger.stdout.readline() == "ready\n"
        yield watch
        answer, _ = pinger.communicate("")
    watch.waits = [wait for _, wait in json.loads(answer)]


def idle_wait(gate: Gate) -> float:
    """The longest that a NOOP took while nothing else went on."""
    with watching(gate) as watch:
        time.sleep(1.0)
    return max(watch.waits)


@pytest.fixture(scope="module")
def downstream() -> Iterator[Downstream]:
    with Downstream() as running:
        yield running


@pytest.fixture(scope="module")
def gate(downstream: Downstream) -> Iterator[Gate]:
    with Gate(downstream.address) as running:
        assert send(running, people(1), message("first", MEGABYTE)) == "250 2.0.0 taken"  # what is loaded once, is
        yield running


MESSAGES = {
    "30 MB": (message("30 MB", 30 * MEGABYTE), 1),
    "30 MB held": (message("30 MB held", 30 * MEGABYTE), 2400),
    "200,000 parts": (parts(200_000) + b"\r\n" * 100_000, 1),
    "nested": (nested(30_000), 1),
    "header": (header_lines(100_000), 1),
    "2400 recipients": (message("2400", MEGABYTE), 2400),
    "10,000 recipients": (message("10,000", MEGABYTE), 10_000),
}
QUICK = ["30 MB", "30 MB held", "200,000 parts"]


def see_that_others_do_not_wait(gate: Gate, name: str) -> None:
    content, recipients = MESSAGES[name]
    idle = idle_wait(gate)
    with watching(gate) as watch:
        answer = send(gate, people(recipients), content)
    longest, growth = max(watch.waits), watch.growth / len(content)
    print(
        f"{name}: longest wait {longest * 1000:.0f} ms, idle {idle * 1000:.0f} ms, memory {growth:.1f} times the size"
    )
    assert answer.startswith("250 2.0.0"), answer
    assert longest <= max(BLOCKED, WORSE * idle)
    assert growth < GROWTH


@pytest.mark.parametrize("name", QUICK)
def test_others_do_not_wait_for_a_large_message(gate, name):
    see_that_others_do_not_wait(gate, name)


@pytest.mark.soak
@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("again", range(3))
def test_others_never_wait(gate, name, again):
    see_that_others_do_not_wait(gate, name)


@pytest.mark.soak
def test_others_do_not_wait_for_a_large_release(downstream):
    content = message("release", 30 * MEGABYTE)
    with Gate(downstream.address) as gate:
        mailing = held_as(send(gate, people(2400), content))
        wait_queue_empty(gate)
        idle = idle_wait(gate)
        with watching(gate) as watch:
            approve(gate, mailing)
            wait_queue_empty(gate)
        print(f"release: {max(watch.waits) * 1000:.0f} ms, memory {watch.growth / len(content):.1f} times the size")
        assert max(watch.waits) <= max(BLOCKED, WORSE * idle)
        assert watch.growth < GROWTH * len(content)
    downstream.sink.mails.clear()
