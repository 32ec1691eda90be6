"""Says NOOP every ten milliseconds to a gate until its standard input ends, then prints what each answer took, as JSON.

A process of its own, so that nothing that the test itself does is taken for something that the gate does:

    python -m tests.faults.pinger PORT PID
"""

from __future__ import annotations

import json
import select
import sys
import time

from tests.faults.scene import Client

_PAUSE = 0.01  # seconds


def cpu_seconds(pid: int) -> float:
    """The CPU time of all threads of another process: its clock, as clock_getcpuclockid(3) numbers it."""
    return time.clock_gettime(~pid << 3 | 2)


def main(port: int, pid: int) -> None:
    taken = []
    with Client(port) as client:
        client.hello()
        while not select.select([sys.stdin], [], [], _PAUSE)[0]:
            began, cpu = time.perf_counter(), cpu_seconds(pid)
            client.ask("NOOP")
            taken.append((time.perf_counter() - began, cpu_seconds(pid) - cpu))
            if len(taken) == 1:
                print("ready", flush=True)
    print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
