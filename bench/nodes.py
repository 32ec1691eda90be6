"""One, two and three nodes side by side on one Postgres: the rate, and whose processor time a message takes.

    python -m bench.nodes              ordinary mail, each message of a sender of its own
    python -m bench.nodes --one        all of it of one source: the hottest row there can be

On a machine with fewer cores than nodes the rate cannot grow; the processor time of a message is what counts there.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.scene import Client
from tests.nodes.fleet import Fleet, fleet
from tests.nodes.network import network

SESSIONS, MESSAGES = 12, 100  # a session
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(process: int) -> float:
    """Of a process and all that it has waited for, and of its children that live."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(processor_seconds(int(child)) for child in children)


def send_many(fleet: Fleet, session: int, one_source: bool) -> None:
    """Ordinary messages of 4 kB over one connection."""
    gate = fleet.gates[session % len(fleet.gates)]
    with Client(gate.port, host=gate.host) as client:
        client.hello()
        for number in range(MESSAGES):
            name = "one" if one_source else f"user{session}x{number}"
            sender, subject = f"{name}@doa.example.gov", "same" if one_source else f"{session} {number}"
            content = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: <{session}.{number}@x>\r\n\r\n"
            answer = client.envelope([f"to{session}x{number}@dphhs.example.gov"], sender)
            assert answer.startswith("354"), answer
            answer = client.content(content.encode() + b"A few words to fill the line with.\r\n" * 110)
            assert answer.startswith("250"), answer


def measure(net: object, nodes: int, one_source: bool) -> tuple[float, float, float]:
    """Messages a second; milliseconds of processor time a message, of the gates and of Postgres."""
    with fleet(net, nodes) as running:  # type: ignore[arg-type]
        gates = [gate.process.pid for gate in running.gates if gate.process]
        postgres = running.postgres.process.pid if running.postgres.process else 0
        before = sum(map(processor_seconds, gates)), processor_seconds(postgres)
        began = time.perf_counter()
        with ThreadPoolExecutor(SESSIONS) as pool:
            list(pool.map(lambda session: send_many(running, session, one_source), range(SESSIONS)))
        took = time.perf_counter() - began
        after = sum(map(processor_seconds, gates)), processor_seconds(postgres)
        each = SESSIONS * MESSAGES
        return each / took, 1000 * (after[0] - before[0]) / each, 1000 * (after[1] - before[1]) / each


def main() -> None:
    one_source = "--one" in sys.argv
    for nodes in (1, 2, 3):
        with network(nodes) as net:
            rate, gates, postgres = net.run(measure, net, nodes, one_source)
        print(f"{nodes} nodes: {rate:6.0f} messages/s; a message: gates {gates:.2f} ms, Postgres {postgres:.2f} ms")


if __name__ == "__main__":
    main()
