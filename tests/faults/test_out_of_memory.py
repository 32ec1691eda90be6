"""Memory is out (`ulimit -v`): who sends gets a reply, 4xx where a message found no room; mail passes later."""

from __future__ import annotations

import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.scene import Client, Downstream, held_as, message, people, send
from tests.peers.gate import Gate

MB = 1 << 20
ROOM = 40 * MB  # octets of address space beside those that the gate has when it has started


def limit_memory(pid: int) -> None:
    status = Path(f"/proc/{pid}/status").read_text()
    (size,) = (int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize:"))
    resource.prlimit(pid, resource.RLIMIT_AS, (size + ROOM, resource.RLIM_INFINITY))


def test_a_message_that_finds_no_memory_is_put_off_and_nobody_is_reset():
    with Downstream() as downstream, Gate(downstream.address) as gate, ThreadPoolExecutor(6) as clients:
        assert gate.process is not None
        limit_memory(gate.process.pid)
        mails = [message(f"large {number}", (8 + 8 * (number % 4)) * MB) for number in range(6)]
        replies = list(clients.map(lambda content: send(gate, people(2400), content), mails))
        assert all(reply.startswith(("250 2.0.0 Held", "451 4.3.")) for reply in replies), replies
        assert "451" in {reply[:3] for reply in replies}, "the limit was reached"
        with Client(gate.port) as client:
            client.hello()
            for content in (message("larger", 45 * MB), message("small")):
                assert client.envelope(people(2)).startswith("354")
                last = client.content(content)
        assert last == "250 2.0.0 taken"
        held_as(send(gate, people(2400), message("not so large", 2 * MB)))
        assert sum(held["batches"] for held in gate.mailings("held")) == 1 + sum("Held" in each for each in replies)
