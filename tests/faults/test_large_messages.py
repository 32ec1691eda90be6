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
from collections.abc import Callable, Iterator
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


def head(subject: str) -> bytes:
    return f"From: {SENDER}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n".encode()


def parts(subject: str, number: int) -> bytes:
    """A message of so many parts, of ten octets each."""
    return (
        head(subject)
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\n.\r\n" * number
        + b"--b--\r\n"
    )


def nested(subject: str, depth: int) -> bytes:
    """Messages within messages."""
    return head(subject) + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"x\r\n"


def header_lines(subject: str, number: int) -> bytes:
    """A header that goes on and on."""
    return head(subject) + b"X-Line: of a header\r\n" * number + b"\r\nx\r\n"


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


MESSAGES: dict[str, tuple[Callable[[str], bytes], int]] = {
    "30 MB": (lambda subject: message(subject, 30 * MEGABYTE), 1),
    "30 MB held": (lambda subject: message(subject, 30 * MEGABYTE), 2400),
    "200,000 parts": (lambda subject: parts(subject, 200_000), 1),
    "nested": (lambda subject: nested(subject, 30_000), 1),
    "long header": (lambda subject: header_lines(subject, 100_000), 1),
    "2,400 recipients": (lambda subject: message(subject, 5 * MEGABYTE), 2400),
}
SMALL = [message("small"), parts("small parts", 10), nested("small nest", 2)]
TRIES = 3
SLOW = ("nested", "long header", "2,400 recipients")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.soak] * (name in SLOW)) for name in MESSAGES])
def test_others_do_not_wait(downstream, name):
    """What the gate does to others it does each time; what else runs on this machine does it now and then."""
    make, recipients = MESSAGES[name]
    longest, growth = [], []
    with Gate(downstream.address) as gate:
        for content in SMALL:  # what is loaded once, is
            assert send(gate, people(1), content) == "250 2.0.0 taken"
        limit = max(BLOCKED, WORSE * idle_wait(gate))
        while not longest or (longest[-1] > limit and len(longest) < TRIES):
            content = make(f"{name} {len(longest)}")
            with watching(gate) as watch:
                assert send(gate, people(recipients), content).startswith("250 2.0.0")
            longest.append(max(watch.waits))
            growth.append(watch.growth / len(content))
    print(f"{name}: longest waits {milliseconds(longest)}, of {limit * 1000:.0f} allowed; memory {growth[0]:.1f} times")
    assert min(longest) <= limit
    assert growth[0] < GROWTH


def milliseconds(seconds: list[float]) -> str:
    return ", ".join(f"{each * 1000:.0f} ms" for each in seconds)


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
