"""What the SMTP path costs by itself: the gate's listener and next hop, with a pipeline that lets all pass at once.

    python -m bench.door                            all loads, three rounds
    python -m bench.door --only W1r W2p --rounds 5
    python -m bench.door --beside ../before         beside another checkout, in turns

Printed are medians of CPU microseconds a message, of the listener's own process as the kernel counts them, and how many
of these a recipient. What is not in it: facts, audience, the decision and its store, the log and the metrics.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import contenders, cpu
from bench.contenders import Contender
from bench.workloads import WORKLOADS, Workload, send
from gatekeeper.delivery import NextHop
from gatekeeper.model import Transaction
from gatekeeper.server.ports import RelayMessage
from gatekeeper.server.smtp_listener import SmtpListener
from gatekeeper.server.smtp_server import MailAcceptance
from gatekeeper.service.runtime import prepare
from gatekeeper.settings import read_settings
from gatekeeper.smtp.replies import Reply
from tests.peers import free_port, listens, wait_for

_MESSAGES = {"W1": 4000, "W1r": 8000, "W2": 60, "W2p": 200, "W3": 60, "W4": 800}


class Open:
    """A pipeline that lets all pass."""

    async def receive(self, transaction: Transaction, relay: RelayMessage) -> Reply:
        return await relay(b"Received: from bench (bench [127.0.0.1])\r\n\tby gate with ESMTP id 1; now\r\n")


async def serve(port: int, sink: int) -> None:
    """Pass on until killed."""
    given = {"listen": f"127.0.0.1:{port}", "next_hop": f"smtp://127.0.0.1:{sink}"}
    settings = read_settings(given | {"max_connections_per_client": "2000"}, {})
    next_hop = NextHop(settings.next_hop)
    listener = SmtpListener(
        settings.listening, next_hop, Open(), MailAcceptance(lambda sender: True, has_own=lambda: False)
    )
    await listener.start()
    await asyncio.Event().wait()


@contextmanager
def door(name: str, tree: Path, next_hop: int) -> Iterator[Contender]:
    """The door of a checkout. Args: `tree` is its folder."""
    port = free_port()
    words = [sys.executable, "-m", "bench.door", "--serve", str(port), str(next_hop)]
    running = subprocess.Popen(words, cwd=tree)
    try:
        wait_for(lambda: listens(port), lambda: f"{name} does not listen")
        yield Contender(name, port, running.pid)
    finally:
        running.kill()
        running.wait()


def cost(load: Workload, contender: Contender, messages: int, folder: Path) -> float:
    """CPU microseconds a message."""
    before = cpu.seconds(contender.process)
    send(load, contender.port, messages, folder, "door")
    return 1e6 * (cpu.seconds(contender.process) - before) / messages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS), help="loads")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=Path, help="another checkout, which has this file, too")
    parser.add_argument("--serve", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        prepare()
        asyncio.run(serve(*given.serve))
    trees = {"here": Path.cwd()} | ({"beside": given.beside} if given.beside else {})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp")))
        sink = stack.enter_context(contenders.sink())
        doors = [stack.enter_context(door(name, tree, sink.port)) for name, tree in trees.items()]
        loads = [WORKLOADS[name] for name in given.only]
        for load, each in itertools.product(loads, doors):
            cost(load, each, load.least, folder)  # is not counted
        turns = itertools.product(range(given.rounds), loads, doors)
        found = [(load, each.name, cost(load, each, _MESSAGES[load.name], folder)) for _, load, each in turns]
    for load, name in itertools.product(loads, trees):
        print(_line(load, name, [spent for measured, who, spent in found if (measured, who) == (load, name)]))


def _line(load: Workload, name: str, costs: list[float]) -> str:
    middle = statistics.median(costs)
    spread = f"{middle:,.0f} ({min(costs):,.0f} to {max(costs):,.0f}) us a message"
    return f"{load.name} {name}: {spread}, {middle / load.recipients:.2f} us a recipient"


if __name__ == "__main__":
    main()
