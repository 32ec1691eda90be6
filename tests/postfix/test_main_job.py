"""The main job: Postfix sends through the gate, the shipped rules decide, and every octet of every message arrives."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from tests.message.samples import CORPUS, corpus
from tests.peers.gate import Gate
from tests.peers.sink import Sink
from tests.postfix.inject import inject
from tests.postfix.mails import KINDS, Letter, mixture
from tests.postfix.setups import RULES, relaying
from tests.postfix.tally import Tally, tally, witnessed

SEED = 20260105


@dataclass(frozen=True)
class Run:
    """What became of the letters, and how long it took (for information)."""

    tally: Tally
    seconds: float

    def of(self, *kinds: str) -> int:
        return sum(letter.kind in kinds for letter in self.tally.letters)


async def sent_through(letters: list[Letter]) -> Run:
    """Send through Postfix and the gate; what a next hop has against what a witness has."""
    async with Sink() as sink, Sink() as witness, Gate(f"smtp://127.0.0.1:{sink.port}", rules=RULES) as gate:
        async with relaying(gate, main=witnessed(witness)) as postfix:
            began = time.monotonic()
            taken = await inject(postfix.port, letters)
            await arrived(witness, len(letters), sink)
            await asyncio.to_thread(postfix.wait_empty)
            seconds = time.monotonic() - began
        relayed = gate.metric("gatekeeper_messages_total", listener="smtp", verdict="relay")
        assert relayed == len(sink.mails), gate.log()[-2000:]
        return Run(tally(taken, sink.mails, witness.mails), seconds)


async def arrived(witness: Sink, count: int, sink: Sink) -> None:
    """Wait until both have all, as long as anything still moves: to ask Postfix for a long queue is slow."""
    moved, seen = time.monotonic(), -1
    while min(len(witness.mails), len(sink.mails)) < count and time.monotonic() < moved + 30:
        if len(witness.mails) + len(sink.mails) != seen:
            moved, seen = time.monotonic(), len(witness.mails) + len(sink.mails)
        await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def run() -> Run:
    """300 messages; 80 of them real, where the real ones lie beside the checkout."""
    return asyncio.run(sent_through(mixture(SEED, 300, 120, corpus()[::31][:80] if CORPUS.exists() else [])))


def test_odd_and_ordinary_messages_arrive_once_and_unchanged(run: Run) -> None:
    assert run.tally.messages == 300 and run.tally.clean, str(run.tally)
    assert run.of("ordinary") > 50 and run.of(*KINDS) >= 120


def test_real_messages_arrive_once_and_unchanged(run: Run) -> None:
    assert corpus() and run.of("real") >= 80 and run.tally.clean, str(run.tally)


@pytest.mark.soak
def test_ten_thousand_messages() -> None:
    run = asyncio.run(sent_through(mixture(SEED, 10_000, 300, corpus())))
    print(f"\n{run.tally}\nin {run.seconds:.0f} s")
    assert run.tally.messages == 10_000 and run.tally.clean, str(run.tally)
    assert run.of("real") >= 2500 and run.of(*KINDS) >= 300
