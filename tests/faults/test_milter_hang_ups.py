"""An MTA leaves its milter in mid-message, sends what is no packet, or the gate is killed: as the proxy's campaigns.

What was answered `discard` is held exactly once. What was not may be: once, or not at all; the MTA answers its client
4xx and gets the message again, and then it is held exactly once. What was cut short is nowhere.
"""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.faults.scene import Downstream, message, people
from tests.faults.test_hang_ups import LOW
from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.peers.milter import POSTFIX_3_7, SENDMAIL_8_13, Answer, MilterClient

WAYS = ("stay", "close", "reset", "cut", "cut by reset", "cut in a packet", "garbage", "kill", "kill before")
LOST = (OSError, AssertionError, TimeoutError)  # AssertionError: the client's, where the connection was closed


@dataclass
class Round:
    """One message, how its MTA left or what befell the gate, and what it was told."""

    number: int
    way: str
    held: bool
    octets: int
    verdict: str = ""

    @property
    def name(self) -> str:
        return f"round {self.number}"

    @property
    def sender(self) -> str:  # each its own, so that no two rounds are one mailing
        return f"sender{self.number}@doa.example.gov"

    @property
    def recipients(self) -> Sequence[str]:
        return people(30 if self.held else 2)

    @property
    def content(self) -> bytes:
        return message(self.name, self.octets, self.sender)

    def begin(self, port: int) -> MilterClient:
        client = MilterClient.tcp(port, (POSTFIX_3_7, SENDMAIL_8_13)[self.number % 2])
        client.connect()
        client.envelope(self.sender, self.recipients)
        client.content(self.content)
        return client

    def play(self, gate: Gate, port: int) -> None:
        with suppress(*LOST), self.begin(port) as client:
            if self.way == "kill before":
                gate.kill()
            elif self.way == "cut in a packet":
                client.socket.sendall(b"\0\0\1\0B half of it")
            elif self.way == "garbage":
                client.socket.sendall(b"\xff" * 9)
            if self.way in ("stay", "kill"):
                self.verdict = client.end().verdict
            elif self.way in ("close", "reset"):
                client.say("E")
            client.flush()
            if self.way.endswith("reset"):
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.way.startswith("kill"):
            gate.kill()
            gate.start()

    def resend(self, port: int) -> Answer:
        with self.begin(port) as client:
            return client.end()

    def check(self, batches: int) -> None:
        allowed = {0}
        if self.held and self.way in ("close", "reset"):
            allowed = {0, 1}
        elif self.held and self.verdict:
            assert self.verdict == "discard", self
            allowed = {1}
        assert batches in allowed, (self, batches)


def campaign(seed: int, rounds: int, ways: Sequence[str] = WAYS, database: str | None = None, workers: int = 1) -> int:
    """Play the rounds, compare what came of each with what was promised, then send all again; return the kills."""
    chance, port = random.Random(seed), free_port()
    chosen = [*ways, *chance.choices(ways, k=rounds)][:rounds]
    played = [
        Round(number, way, chance.random() < 0.7, chance.choice([0, 70_000])) for number, way in enumerate(chosen)
    ]
    flags = ["--milter", f"127.0.0.1:{port}", "--workers", str(workers)]
    with Downstream() as downstream, Gate(downstream.address, rules=LOW, flags=flags, database=database) as gate:
        for each in played:
            each.play(gate, port)
        wait_for(lambda: gate.metric("gatekeeper_content_bytes", where="memory") == 0, gate.log)
        found = Counter({held["subject"]: held["batches"] for held in gate.mailings()})
        for each in played:
            each.check(found[each.name])
        assert {each.resend(port).verdict for each in played if each.held} == {"discard"}
        assert {held["subject"]: held["batches"] for held in gate.mailings("held")} == {
            each.name: 1 for each in played if each.held
        }
        assert "Traceback" not in gate.log() and not any(downstream.copies(each.content) for each in played)
    return sum(each.way.startswith("kill") for each in played)


def test_an_mta_that_leaves_and_a_gate_that_is_killed():
    assert campaign(seed=1, rounds=40, ways=[way for way in WAYS if way != "kill before"]) >= 1


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(2, 5))
def test_the_same_for_long(seed, workers, database_url):
    database = None if database_url.startswith("sqlite") else database_url
    campaign(seed, 100, database=database, workers=workers)
