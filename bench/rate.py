"""The rate of small messages through a gate's SMTP listener in this process, with counting and without."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from gatekeeper.delivery import NextHop
from gatekeeper.lib.aio import Timeouts
from gatekeeper.model import Counts, Outcome, Standing
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.server.smtp_listener import SmtpListener
from gatekeeper.server.smtp_server import MailAcceptance
from gatekeeper.settings import Settings, read_settings
from gatekeeper.store import Arrival, Database, Judge, Store
from tests.peers.gate import RULES
from tests.peers.sink import Sink

MESSAGES, ROUNDS = 60, 7  # messages a session
_numbers = itertools.count()


class Uncounted(Store):
    """A store that judges every message by itself and writes nothing: what counting is measured against."""

    async def decide(self, arrival: Arrival, judge: Judge, patience: Timeouts | None = None) -> Outcome:
        counts = Counts.of(arrival.audience)
        return Outcome(judge(counts, Standing()), counts)


@dataclass(frozen=True)
class Cost:
    """What messages cost: how many a second, and milliseconds of CPU each, of client, gate and sink together."""

    rate: float
    cpu: float


async def counting_ratio(folder: Path, sessions: int) -> tuple[Cost, Cost]:
    """With counting and without: medians of rounds that take turns, each with so many sessions at once."""
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    async with Sink() as sink:
        given = {
            "max_connections_per_client": "1000",
            "rules": str(rules),
            "listen": "127.0.0.1:0",
            "next_hop": f"smtp://127.0.0.1:{sink.port}",
        }
        (folder / str(sessions)).mkdir()
        listeners = [await _open(read_settings(given, {}), kind, folder / str(sessions)) for kind in (Store, Uncounted)]
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for _ in range(ROUNDS):
            for listener, found in zip(listeners, costs, strict=True):
                found.append(await _cost(listener.port, sessions))
    return _median(costs[0]), _median(costs[1])


def _median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(each.rate for each in costs), statistics.median(each.cpu for each in costs))


async def _open(settings: Settings, kind: type[Store], folder: Path) -> SmtpListener:
    store = kind(Database(f"sqlite:///{folder}/{kind.__name__}.db", timeout=30))
    store.open()
    pipeline = Pipeline(settings.judging, ActivePolicy(settings.judging.rules), store)
    listener = SmtpListener(
        settings.listening, NextHop(settings.next_hop), pipeline, MailAcceptance(lambda sender: True)
    )
    await listener.start()
    return listener


async def _cost(port: int, sessions: int) -> Cost:
    began, spent, sent = time.perf_counter(), time.process_time(), sessions * MESSAGES
    await asyncio.gather(*(_session(port, MESSAGES) for _ in range(sessions)))
    cpu = (time.process_time() - spent) * 1000 / sent
    return Cost(sent / (time.perf_counter() - began), cpu)


async def _session(port: int, messages: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    await _say(reader, writer, "EHLO bench.example.gov")
    for number in itertools.islice(_numbers, messages):
        sender = f"user{number}@doa.example.gov"
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<colleague{number}@dphhs.example.gov>", "DATA"):
            await _say(reader, writer, command)
        head = f"From: {sender}\r\nSubject: number {number}\r\nMessage-ID: <{number}@x>\r\n\r\n"
        await _say(reader, writer, head + "A few words to fill the line with.\r\n" * 100 + ".")
    writer.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(text.encode() + b"\r\n")
    while (await reader.readline())[3:4] == b"-":
        continue
