"""Where a fleet breaks first: a simulation of the rows that all nodes want, by what a transaction was measured to take.

    python -m bench.hot_rows                   100 million messages a day, on one Postgres that commits in 2 ms
    python -m bench.hot_rows --processor-ms 0.6 --source-ms 2.7 --commit-ms 0.5

A message waits for the lock of its source and for one of the database's processors; it holds both until its commit.
Ordinary mail has many sources; a machine that writes to everybody is one. Messages of a group share a commit.
"""

from __future__ import annotations

import argparse
import heapq
import random

DAY = 86_400
PEAK = 3.0  # times the average, in the busiest hour
GROUP = 64  # messages of one node that share a commit, at most


def simulate(
    rate: float,
    processor_ms: float,
    source_ms: float,
    commit_ms: float,
    cores: int,
    share_of_one: float,
    seconds: float = 20.0,
    seed: int = 1,
) -> tuple[float, float]:
    """Milliseconds that 99 of 100 messages wait at most: of the one source, and of all others.

    Args: `processor_ms` of Postgres for a message of its own source, `source_ms` for one of a source that all nodes
    want; the others are shares of `rate`, messages a second.
    """
    chance, now, core_free = random.Random(seed), 0.0, [0.0] * cores
    source_free, waits = 0.0, ([], [])  # type: ignore[var-annotated]
    group_left = 0
    while now < seconds:
        now += chance.expovariate(rate)
        is_one = chance.random() < share_of_one
        began, busy_ms = max(now, core_free[0]), source_ms if is_one else processor_ms
        heapq.heapreplace(core_free, began + busy_ms / 1000)
        if is_one:
            began = max(began, source_free)
            if source_free <= now:
                group_left = 0
            # what has queued behind the lock goes in one group, and pays for one commit
            group_left = GROUP if group_left == 0 else group_left - 1
            source_free = began + (busy_ms + (commit_ms if group_left == GROUP else 0)) / 1000
        waits[0 if is_one else 1].append((began - now) * 1000 + busy_ms + commit_ms)
    return tuple(sorted(each)[int(len(each) * 0.99)] if each else 0.0 for each in waits)  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages-a-day", type=float, default=100e6)
    parser.add_argument("--processor-ms", type=float, default=2.0, help="of Postgres, a message")
    parser.add_argument(
        "--source-ms", type=float, help="of Postgres, a message of the one source; as the others' if none"
    )
    parser.add_argument("--commit-ms", type=float, default=2.0)
    given = parser.parse_args()
    source_ms = given.processor_ms if given.source_ms is None else given.source_ms
    rate = given.messages_a_day / DAY * PEAK
    print(
        f"{rate:.0f} messages/s in the busiest hour; Postgres is busy with {rate * given.processor_ms / 1000:.1f} cores"
    )
    print("cores  of one source  99 of 100 of it wait  99 of 100 others wait")
    for cores in (2, 3, 4, 8):
        for share in (0.001, 0.01, 0.1):
            one, others = simulate(rate, given.processor_ms, source_ms, given.commit_ms, cores, share)
            print(f"{cores:5}  {share * rate:8.0f}/s     {one:15.0f} ms    {others:15.0f} ms")


if __name__ == "__main__":
    main()
