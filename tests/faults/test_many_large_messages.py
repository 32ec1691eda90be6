"""Many large messages at once: the memory that they take is what the settings say, however many they are."""

from __future__ import annotations

import os
import re
import signal
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.scene import SENDER, Downstream, approve, held_as, message, people, send, wait_queue_empty
from tests.faults.test_large_messages import Watch
from tests.peers import wait_for
from tests.peers.gate import Gate
from tests.peers.sink import delay

MEGABYTE = 1_000_000
EACH = 2 * MEGABYTE  # of any message, before it counts: as much as is small, and as much that waits to be written
FIXED = 20 * MEGABYTE  # what a gate takes that begins to work


def begin(gate: Gate, content: bytes) -> smtplib.SMTP:
    """Send a message but for its last line."""
    client = smtplib.SMTP(gate.host, gate.port, "client.example.gov", 60)
    client.ehlo()
    client.mail(SENDER)
    client.rcpt("b@example.org")
    assert client.docmd("DATA")[0] == 354
    assert client.sock is not None
    client.sock.sendall(content.replace(b"\r\n.", b"\r\n.."))
    return client


def end(client: smtplib.SMTP) -> None:
    client.send(b".\r\n")


def octets(gate: Gate, where: str) -> float:
    """What the gate says of them."""
    name = f'gatekeeper_content_bytes{{where="{where}"}} '
    return next(float(line.removeprefix(name)) for line in gate.page("/metrics")[1].splitlines() if name in line)


@contextmanager
def gate_with(memory: int, *flags: str) -> Iterator[tuple[Gate, Downstream]]:
    with (
        Downstream() as downstream,
        Gate(downstream.address, flags=["--memory-for-content", f"{memory}MB", *flags]) as gate,
    ):
        yield gate, downstream


@pytest.mark.parametrize("count, size, memory", [(4, 10, 3), pytest.param(40, 10, 64, marks=pytest.mark.soak)])
def test_the_memory_stays_within_the_two_allowances(count, size, memory):
    contents = [message(f"large {number}", size * MEGABYTE) for number in range(count)]
    with gate_with(memory) as (gate, downstream), ExitStack() as stack:
        assert gate.send(SENDER, ["b@example.org"], message("first", 100))[0] == 250
        downstream.sink.mails.clear()
        watch = Watch(gate)
        watch.begin()
        clients = [begin(gate, content) for content in contents]
        for client in clients:
            stack.callback(client.close)
        wait_for(
            lambda: octets(gate, "disk") + octets(gate, "memory") > (count - 1) * (size - 3) * MEGABYTE,
            lambda: "not all have come",
        )
        assert octets(gate, "memory") <= memory << 20
        arriving = watch.growth
        for client in clients:
            end(client)
        assert {client.getreply()[0] for client in clients} == {250}
        wait_for(lambda: octets(gate, "disk") == octets(gate, "memory") == 0, lambda: "not all is given back")
        assert sorted(mail.content.partition(b"Subject: ")[2] for mail in downstream.sink.mails) == sorted(
            content.partition(b"Subject: ")[2] for content in contents
        )
        print(f"{count} of {size} MB: {arriving >> 20} MB more as they came, {watch.growth >> 20} MB more at most")
        assert watch.growth < 2 * (memory << 20) + count * EACH + FIXED < count * size * MEGABYTE


@pytest.mark.soak
def test_what_a_dead_worker_had_in_hand_is_not_counted():
    with gate_with(8, "--workers", "2") as (gate, _):
        client = begin(gate, message("large", 10 * MEGABYTE))
        wait_for(lambda: octets(gate, "disk") + octets(gate, "memory") > 0, lambda: "nothing has come")
        for worker in re.findall(r"worker-\d is process (\d+)", gate.log()):
            os.kill(int(worker), signal.SIGKILL)
        wait_for(lambda: octets(gate, "disk") == octets(gate, "memory") == 0, lambda: "the dead are counted")
        client.close()


@pytest.mark.soak
@pytest.mark.parametrize("count, size, memory", [(8, 10, 12), (60, 30, 64)])
def test_the_memory_of_releases_stays_within_an_allowance(count, size, memory):
    """All are approved while the next hop is down, and leave at once when it is back."""
    everyone = people(2400)
    with gate_with(memory, "--lease", "2s", "--keep-limit", "0") as (gate, downstream):
        for number in range(count):
            held_as(send(gate, everyone, message(f"large {number}", size * MEGABYTE)))
        wait_queue_empty(gate)
        downstream.down()
        for held in gate.mailings("held"):
            approve(gate, held["id"])
        watch = Watch(gate)
        watch.begin()
        downstream.sink.mails.clear()
        downstream.sink.at("DOT", delay(0.2))
        downstream.up()
        wait_for(lambda: gate.metric("gatekeeper_queue", kind="release") == 0, gate.log, 600.0)
        print(f"{count} of {size} MB released: {watch.growth >> 20} MB more at most")
        assert watch.growth < 2 * (memory << 20) + FIXED < count * size * MEGABYTE
        wait_for(lambda: octets(gate, "memory") == 0, lambda: "not all is given back")
