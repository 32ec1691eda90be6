"""Says NOOP every ten milliseconds until its standard input ends, then prints how long each answer took, as JSON.

A process of its own, so that nothing that the test itself does is taken for something that the gate does:

    python -m tests.faults.pinger PORT
"""

from __future__ import annotations

import json
import select
import sys
import time

from tests.faults.scene import Client

_PAUSE = 0.01  # seconds


def main(port: int) -> None:
    taken = []
    with Client(port) as client:
        client.hello()
        while not select.select([sys.stdin], [], [], _PAUSE)[0]:
            began = time.perf_counter()
            client.ask("NOOP")
            taken.append((time.time(), time.perf_counter() - began))
            if len(taken) == 1:
                print("ready", flush=True)
    print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
