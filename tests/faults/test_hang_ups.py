"""The client leaves in the middle of its message, right at its end, or a moment after it, in every way there is.

What was acknowledged was delivered or held exactly once. What was not may be: once, or not at all.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.faults.scene import Client, Downstream, message, on_wire, people
from tests.peers.gate import RULES, Gate
from tests.peers.sink import delay

LOW = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")  # held without thousands of RCPT
WAYS = ("stay", "close", "half-close", "reset", "cut", "cut by half-close", "cut by reset")


@dataclass
class Round:
    """One message, how its client left, and what it was told."""

    number: int
    way: str
    held: bool
    octets: int
    pause: float  # seconds between the dot and leaving
    answer: str = ""

    @property
    def name(self) -> str:
        return f"round {self.number}"

    @property
    def sender(self) -> str:  # each its own, so that no two rounds are one mailing
        return f"sender{self.number}@doa.example.gov"

    @property
    def content(self) -> bytes:
        return message(self.name, self.octets, self.sender)

    @property
    def recipients(self) -> list[str]:
        return people(30 if self.held else 2)

    def play(self, port: int) -> None:
        with Client(port) as client:
            client.hello()
            assert client.envelope(self.recipients, self.sender).startswith("354")
            wire = on_wire(self.content)
            if self.way.startswith("cut"):
                wire = wire[: -(self.number % 5 + 1)]  # all of it but the last one to five octets
            client.say(wire)
            time.sleep(self.pause)
            self._leave(client)

    def _leave(self, client: Client) -> None:
        if self.way.endswith("reset"):
            client.reset()
        elif self.way.endswith("half-close"):
            client.half_close()
        if self.way in ("stay", "half-close"):
            self.answer = client.reply()

    def check(self, delivered: Counter[str], batches: int) -> None:
        once = Counter({} if self.held else dict.fromkeys(self.recipients, 1))
        there = (once, int(self.held))
        found = (delivered, batches)
        if self.way in ("stay", "half-close"):
            assert self.answer.startswith("250 2.0.0"), self
        if self.way in ("stay", "half-close", "close"):  # the whole message came in before the end
            assert found == there, self
        elif self.way == "reset":  # which may overtake the message
            assert found in (there, (Counter(), 0)), self
        else:
            assert found == (Counter(), 0), self


def campaign(seed: int, rounds: int) -> Counter[tuple[str, bool]]:
    """Play the rounds, end the gate as it is meant to end, and compare what came of each with what was promised."""
    chance = random.Random(seed)
    played = [
        Round(number, chance.choice(WAYS), chance.random() < 0.5, chance.choice([0, 0, 70_000]), _pause(chance))
        for number in range(rounds)
    ]
    with Downstream() as downstream, Gate(downstream.address, rules=LOW) as gate:
        for each in played:
            if chance.random() < 0.3:
                downstream.sink.at("DOT", delay(chance.random() * 0.05), times=1)
            each.play(gate.port)
        assert gate.terminate() == 0
        batches = Counter({held["subject"]: held["batches"] for held in gate.mailings()})
        for each in played:
            each.check(downstream.copies(each.content), batches[each.name])
    return Counter((each.way, each.held) for each in played)


def _pause(chance: random.Random) -> float:
    return chance.choice([0, 0, chance.random() * 0.02])


def test_clients_that_leave():
    assert len(campaign(seed=1, rounds=100)) == 2 * len(WAYS)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 12))
def test_clients_that_leave_for_long(seed):
    campaign(seed, rounds=500)
