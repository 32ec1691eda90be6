"""One, two and three nodes side by side on one Postgres: the rate, and whose processor time a message takes.

    python -m bench.nodes                        ordinary mail, each message of a sender of its own
    python -m bench.nodes --one-source           all of it of one source: the hottest row there can be
    python -m bench.nodes --rounds 1 --messages 20

Each count of nodes has its turn in each round, on a Postgres of its own; the figures are medians. A node has twelve
sessions, however many nodes there are: each is as busy as one alone would be. The senders and the next hop are the
bench's own process, which counts too: on a machine with few cores all four share them, and the rate stops growing where
they are taken. `busy` says how much of the machine was, by us and by others together.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from bench import cpu
from tests.faults.scene import Client
from tests.nodes.fleet import Fleet, fleet
from tests.nodes.network import Network, network

SESSIONS = 12  # a node
WARM_UP = 5  # messages a session that are not counted
NODES = (1, 2, 3)


@dataclass(frozen=True)
class Figures:
    """Messages a second; milliseconds of processor time a message, of the parts; the share of the machine in use."""

    rate: float
    gates: float
    postgres: float
    bench: float
    busy: float


@dataclass(frozen=True)
class Reading:
    """Seconds since some beginning."""

    time: float
    gates: float
    postgres: float
    bench: float
    machine: float


def read(running: Fleet) -> Reading:
    """Take all clocks at once."""
    postgres = running.postgres.process
    own = resource.getrusage(resource.RUSAGE_SELF)
    return Reading(
        time=time.perf_counter(),
        gates=sum(cpu.seconds(gate.process.pid) for gate in running.gates if gate.process),
        postgres=cpu.seconds(postgres.pid) if postgres else 0.0,
        bench=own.ru_utime + own.ru_stime,
        machine=_machine(),
    )


def _machine() -> float:
    """Seconds that all processors together have worked."""
    user, nice, system, _idle, _waiting, *interrupts = Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))) / os.sysconf("SC_CLK_TCK")


def send_many(running: Fleet, session: int, numbers: range, one_source: bool) -> None:
    """Ordinary messages of 4 kB over one connection."""
    gate = running.gates[session % len(running.gates)]
    with Client(gate.port, host=gate.host) as client:
        client.hello()
        for number in numbers:
            name = "one" if one_source else f"user{session}x{number}"
            sender, subject = f"{name}@doa.example.gov", "same" if one_source else f"{session} {number}"
            content = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{session}.{number}@x>\r\n\r\n"
            answer = client.envelope([f"to{session}x{number}@dphhs.example.gov"], sender)
            assert answer.startswith("354"), answer
            answer = client.content(content.encode() + b"A few words to fill the line with.\r\n" * 110)
            assert answer.startswith("250"), answer


def send_all(running: Fleet, numbers: range, one_source: bool) -> None:
    """All sessions at once."""
    sessions = SESSIONS * len(running.gates)
    with ThreadPoolExecutor(sessions) as pool:
        list(pool.map(lambda session: send_many(running, session, numbers, one_source), range(sessions)))


def measure(net: Network, nodes: int, messages: int, one_source: bool) -> Figures:
    """One turn: so many messages a session, through so many nodes."""
    with fleet(net, nodes) as running:
        send_all(running, range(WARM_UP), one_source)
        before = read(running)
        send_all(running, range(WARM_UP, WARM_UP + messages), one_source)
        after = read(running)
    took, gates, postgres, bench, machine = (b - a for a, b in zip(astuple(before), astuple(after), strict=True))
    each = SESSIONS * nodes * messages
    per_message = (1000 * part / each for part in (gates, postgres, bench))
    return Figures(each / took, *per_message, machine / took / (os.cpu_count() or 1))


def median(turns: Sequence[Figures]) -> Figures:
    """Of each figure by itself."""
    return Figures(*map(statistics.median, zip(*map(astuple, turns), strict=True)))


def line(nodes: int, found: Figures) -> str:
    """A line of the table in docs/scale.md."""
    part = found.postgres / (found.gates + found.postgres)
    return (
        f"| {nodes} | {found.rate:.0f}/s | {found.gates:.1f} ms | {found.postgres:.1f} ms | {part:.0%} "
        f"| {found.bench:.1f} ms | {found.busy:.0%} |"
    )


def main() -> None:
    """Measure, a line a turn, and the table of medians at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=200, help="a session; each node has twelve")
    parser.add_argument("--one-source", action="store_true")
    given = parser.parse_args()
    turns: dict[int, list[Figures]] = {nodes: [] for nodes in NODES}
    for _ in range(given.rounds):
        for nodes in NODES:
            with network(nodes) as net:
                turns[nodes].append(net.run(measure, net, nodes, given.messages, given.one_source))
            print(line(nodes, turns[nodes][-1]), flush=True)
    print("\n| nodes | messages | gates, a message | Postgres | Postgres's part | senders and next hop | busy |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for nodes in NODES:
        print(line(nodes, median(turns[nodes])))


if __name__ == "__main__":
    main()
