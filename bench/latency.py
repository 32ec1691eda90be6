"""What the gate adds to the time of ordinary mail while large things pass by.

    python -m bench.latency [--seconds 20] [--rate 50]

Ordinary mail of 5 KB, a connection each, is sent at a steady rate, straight to the sink and through the gate in turns;
meanwhile a mailing to 2,500 comes in five batches of 500, which the gate gathers, and a message of 30 MB. A message's
time is from connecting to the reply to its dot. What is added is the 99th percentile less the median of the straight
way. What large things add on the straight way is the machine's, the sink's and the client's share of it. The turn after
large things begins when the gathered mailing has left the gate, and its content is removed from the database.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

from bench import contenders
from bench.client import Session, transaction
from bench.contenders import Contender
from gatekeeper.background.scheduler import FORGET_SECONDS
from tests.peers import wait_for

_TURNS = 3
_PATIENCE = 60  # seconds in which a gathered mailing leaves


def send_one(port: int, taken: list[float]) -> None:
    """One ordinary message."""
    envelope, content = transaction(1, 5000)
    began = time.perf_counter()
    session = Session(port)
    session.send(envelope, 1, content)
    taken.append(time.perf_counter() - began)
    session.close()


def steady(port: int, rate: float, seconds: float) -> list[float]:
    """Times of messages that are begun at a steady rate, whatever became of those before."""
    taken: list[float] = []
    threads = []
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        threads.append(threading.Thread(target=send_one, args=(port, taken)))
        threads[-1].start()
    for each in threads:
        each.join()
    return taken


def large(port: int, until: float) -> None:
    """A mailing in five batches and a message of 30 MB, again and again."""
    while time.perf_counter() < until:
        for recipients, size in ((500, 20_000),) * 5 + ((1, 30_000_000),):
            envelope, content = transaction(recipients, size)
            session = Session(port)
            session.send(envelope, recipients, content)
            session.close()
        time.sleep(1.0)


def measured(port: int, rate: float, seconds: float, gate: Contender | None) -> list[float]:
    """Milliseconds of each message; large things pass by where the gate is named. Waits until these have left it."""
    if gate is None:
        return [1000 * each for each in steady(port, rate, seconds)]
    disturbing = threading.Thread(target=large, args=(gate.port, time.perf_counter() + seconds))
    disturbing.start()
    found = [1000 * each for each in steady(port, rate, seconds)]
    disturbing.join()
    wait_for(gate.is_idle, lambda: "the gathered mailing does not leave", _PATIENCE, 0.2)
    time.sleep(FORGET_SECONDS + 2.0)
    return found


def percentile(times: list[float], share: float) -> float:
    """The time that so great a share stays below."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=50)
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    with contenders.sink() as sink, contenders.gate(sink.port, gathered=True) as gate:
        for _ in range(_TURNS):
            for name, port, large_by in (
                ("direct", sink.port, None),
                ("direct, large things pass through the gate", sink.port, gate),
                ("gate", gate.port, None),
                ("gate, large things pass through it", gate.port, gate),
            ):
                found.setdefault(name, []).extend(measured(port, given.rate, given.seconds / _TURNS, large_by))
    base = statistics.median(found["direct"])
    print("| | median ms | p99 ms | p99 added |\n| --- | ---: | ---: | ---: |")
    for name, times in found.items():
        tail = percentile(times, 0.99)
        print(f"| {name} | {statistics.median(times):.1f} | {tail:.1f} | {tail - base:.1f} |")


if __name__ == "__main__":
    main()
