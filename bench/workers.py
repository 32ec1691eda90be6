"""How much more mail several workers take than one: `python -m bench.workers`, on a machine that does nothing else.

Gates stand before one smtp-sink, and smtp-source sends through each of them in turn, a connection a message. Printed
are the rate of each round, the median, the ratio, and the CPU time a message of every process: where the cores are not
idle, the last says more than the first. The gates hold and refuse nothing: it is small mail to one recipient.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers import free_port, listens, require, wait_for
from tests.peers.gate import Gate

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Contender:
    """A gate, and what was measured of it."""

    workers: int
    gate: Gate
    rates: list[float] = field(default_factory=list)  # messages a second
    cpu: dict[str, float] = field(default_factory=dict)  # seconds, by process
    messages: int = 0

    def run(self, messages: int, sessions: int, size: int) -> None:
        """Send so many messages, and take the time."""
        before, began = cpu_of(self.gate), time.perf_counter()
        source(self.gate.port, messages, sessions, size)
        self.rates.append(messages / (time.perf_counter() - began))
        self.messages += messages
        for name, seconds in cpu_of(self.gate).items():
            self.cpu[name] = self.cpu.get(name, 0.0) + seconds - before.get(name, 0.0)

    def line(self) -> str:
        rates = " ".join(f"{rate:.0f}" for rate in self.rates)
        cpu = " ".join(f"{name}={1000 * spent / self.messages:.2f}" for name, spent in sorted(self.cpu.items()))
        return f"--workers {self.workers}: median {self.rate:.0f}/s ({rates}); CPU ms a message: {cpu}"

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def source(port: int, messages: int, sessions: int, size: int) -> None:
    """Send with Postfix's own load generator."""
    words = [require("smtp-source"), "-s", str(sessions), "-m", str(messages), "-l", str(size)]
    addresses = ["-f", "head@doa.example.gov", "-t", "user1@example.org"]
    subprocess.run([*words, *addresses, f"127.0.0.1:{port}"], check=True, stdin=subprocess.DEVNULL)


@contextmanager
def sink() -> Iterator[int]:
    """Postfix's own next hop that throws all away; its port."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root, and answers XCLIENT wrongly
    running = subprocess.Popen(
        [require("smtp-sink"), *user, "-C", "-F", f"127.0.0.1:{port}", "1024"], stdin=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: listens(port), lambda: "smtp-sink does not listen")
        yield port
    finally:
        running.kill()
        running.wait()


def processes_of(gate: Gate) -> dict[str, int]:
    """The processes of a running gate, by name: gate or supervisor, worker-1 and so on, office."""
    assert gate.process is not None, "the gate does not run"
    main = gate.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    named = {_name(int(child)): int(child) for child in children}
    return {"supervisor" if named else "gate": main, **named}


def _name(process: int) -> str:
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return (
        words[words.index(b"gatekeeper.service.worker") + 1].decode()
        if b"gatekeeper.service.worker" in words
        else str(process)
    )


def cpu_of(gate: Gate) -> dict[str, float]:
    """CPU time of each process so far, in seconds."""
    return {name: _cpu(process) for name, process in processes_of(gate).items()}


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def contenders(counts: list[int], next_hop: str) -> Iterator[list[Contender]]:
    """A running gate for each number of workers."""
    flags = ["--log-level", "warning", "--workers"]
    made = [Contender(count, Gate(next_hop, flags=[*flags, str(count)])) for count in counts]
    try:
        for each in made:
            each.gate.start()
            wait_for(lambda: each.gate.page("/readyz")[1] == "ok\n", each.gate.log)  # noqa: B023 - called at once
        yield made
    finally:
        for each in made:
            each.gate.__exit__()


def measure(counts: list[int], messages: int, sessions: int, size: int, rounds: int) -> list[Contender]:
    """Load the gates in turn, after a round that is not counted."""
    with sink() as port, contenders(counts, f"smtp://127.0.0.1:{port}") as made:
        for each in made:
            source(each.gate.port, messages // 4, sessions, size)
        for _ in range(rounds):
            for each in made:
                each.run(messages, sessions, size)
        return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--messages", type=int, default=2000, help="a round")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=5000, help="octets")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    made = measure(given.workers, given.messages, given.sessions, given.size, given.rounds)
    for each in made:
        print(each.line())
        print(f"    against --workers {made[0].workers}: {each.rate / made[0].rate:.2f}")


if __name__ == "__main__":
    main()
