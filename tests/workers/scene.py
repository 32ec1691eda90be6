"""What the tests of several processes share: a gate with workers, its processes, and senders that all send at once."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.faults.scene import Downstream, asleep, send
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate

NO_GATHER = RULES.replace(
    "mailing: {source: sender, within: 24h}", "mailing: {source: sender, within: 24h, gather: off}"
)
PATIENCE = 90.0  # seconds for processes to start, on a busy machine


@contextmanager
def gate_of(
    workers: int,
    downstream: Downstream,
    *,
    rules: str = NO_GATHER,
    database: str | None = None,
    flags: Sequence[str] = (),
    kill_at: str = "",
) -> Iterator[Gate]:
    """A gate of several processes, all of them ready; none of them is there afterwards. Args: as Gate has them."""
    flags = ["--workers", str(workers), "--lease", "1s", *flags]
    with asleep(downstream.address, rules=rules, flags=flags, database=database) as gate:
        gate.environment["TMPDIR"] = str(gate.home)
        start(gate, kill_at=kill_at)
        yield gate


def start(gate: Gate, **options: Any) -> None:
    """Start it, as Gate does, and wait for all of its processes."""
    gate.start(wait=False, **options)
    wait_all_ready(gate)


def wait_all_ready(gate: Gate) -> None:
    """Wait until no process is away: where one has just been killed, until that was seen, call `wait_replaced`."""
    wait_for(lambda: gate.page("/readyz") == (200, "ok\n"), lambda: f"{gate.page('/readyz')}{gate.log()}", PATIENCE)


def processes(gate: Gate) -> dict[str, int]:
    """The latest process of each name, as the log has them."""
    found = re.findall(r"info (worker-\d+|office) is process (\d+)$", gate.log(), re.MULTILINE)
    return {name: int(process) for name, process in found}


def kill(gate: Gate, name: str) -> int:
    """End one process as a crash does; which it was."""
    process = processes(gate)[name]
    os.kill(process, signal.SIGKILL)
    return process


def wait_replaced(gate: Gate, name: str, process: int) -> None:
    """Wait until another process has taken that one's place, and all are ready."""
    wait_for(lambda: processes(gate)[name] != process, gate.log, PATIENCE)
    wait_all_ready(gate)


def lives(process: int) -> bool:
    """True while there is such a process; a zombie has ended."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def send_at_once(gate: Gate, mails: Sequence[tuple[Sequence[str], bytes]], streams: int, **options: Any) -> list[str]:
    """Send all, over so many connections at a time; the replies, "" where a connection was lost before its reply."""
    with ThreadPoolExecutor(streams) as pool:
        return list(pool.map(lambda mail: send(gate, *mail, **options), mails))


class Stream:
    """A sender that sends one message after the other until it is told to stop, each from a sender of its own."""

    def __init__(self, gate: Gate, name: str, contents: dict[str, bytes]) -> None:
        self.acknowledged: list[str] = []
        self.error: Exception | None = (
            None  # that ended it: a connection that was refused, a 421 in place of a greeting
        )
        self._gate, self._name, self._contents = gate, name, contents
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for number in count():
            if self._enough.is_set():
                return
            self._send(f"{self._name}-{number}")

    def _send(self, name: str) -> None:
        sender = f"{name}@doa.example.gov"
        content = f"From: {sender}\r\nSubject: {name}\r\nMessage-ID: <{name}@doa.example.gov>\r\n\r\nHello\r\n".encode()
        self._contents[name] = content
        try:
            reply = send(self._gate, [f"{name}@example.org"], content, sender)
        except TimeoutError:
            reply = ""
        except (OSError, AssertionError) as error:
            self.error = error
            self._enough.set()
            raise
        if reply.startswith("250"):
            self.acknowledged.append(name)

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()


@contextmanager
def streams(gate: Gate, number: int) -> Iterator[tuple[list[Stream], dict[str, bytes]]]:
    """So many streams at once; stopped at the end. Also yields the contents, by the name of the message."""
    contents: dict[str, bytes] = {}
    running = [Stream(gate, f"stream{each}", contents) for each in range(number)]
    try:
        yield running, contents
    finally:
        for each in running:
            each.stop()


def acknowledged(running: Sequence[Stream]) -> int:
    return sum(len(each.acknowledged) for each in running)
