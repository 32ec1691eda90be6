"""What a disposal adds to mail: `python -m bench.disposal [--bodies 100000] [--rounds 5] [--seconds 20]`.

A gate with that many kept messages on a list to be destroyed, and ordinary mail from four sessions. Each round measures
mail while the list waits, and while it is destroyed, in turns. Figures: how long a message waits for the gate's verdict
(the reply to its dot), and CPU milliseconds of the gate's processes a message. The goal: the middling verdict within
5 % of the quiet one.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from itertools import count

from sqlalchemy import insert, update

from bench import contenders, cpu
from bench.client import Session, transaction
from bench.records import batch_row
from gatekeeper.archive.disposing import FINDS
from gatekeeper.lifecycle import DisposalState
from gatekeeper.store import Connection, Database, Store, disposals
from gatekeeper.store.db import schema
from gatekeeper.store.disposals import NewDisposal
from gatekeeper.store.due import Age
from gatekeeper.store.events import Act
from gatekeeper.store.rows import next_number
from tests.peers.gate import RULES, Gate

_DAY = 86_400.0
_SESSIONS, _RECIPIENTS, _OCTETS = 4, 20, 5_000  # of mail; of a kept message
_PART = 500
_SETTLING_SECONDS = 6.0  # in which the gate leaves a list, and has cleared the files of its database


def fill(store: Store, bodies: int) -> None:
    """Write messages that were held and denied a year ago, and propose to destroy them."""
    now = store.now()
    for first in range(1, bodies + 1, _PART):
        numbers = range(first, min(first + _PART, bodies + 1))
        store.call(partial(_write, numbers=numbers, at=now - 400 * _DAY))
        store.call(partial(_count, last=numbers[-1]))
    _propose(store, now)


def _write(connection: Connection, numbers: range, at: float) -> None:
    texts = [f"Subject: kept {number}\r\n\r\n{'words of a notice ' * 277}\r\n".encode() for number in numbers]
    digests = [sha256(each).digest() for each in texts]
    pairs = list(zip(numbers, digests, strict=True))
    kept = [{"digest": each, "size": _OCTETS, "complete": True, "stored_at": at} for each in digests]
    chunks = [{"digest": each, "position": 0, "data": text} for each, text in zip(digests, texts, strict=True)]
    rows = [batch_row(number, number, digest, at) | {"state": "returned", "recipients": 20} for number, digest in pairs]
    person = {"parameters": [], "state": "waiting"}
    people = [
        {"batch_id": number, "position": place, "address": f"p{place}@doa.example.gov", **person}
        for number in numbers
        for place in range(_RECIPIENTS)
    ]
    for table, values in (
        (schema.mailings, [_mailing(number, at) for number in numbers]),
        (schema.bodies, kept),
        (schema.body_chunks, chunks),
        (schema.batches, rows),
        (schema.batch_recipients, people),
    ):
        connection.execute(insert(table), values)


def _count(connection: Connection, last: int) -> None:
    """Let mailings that come be numbered after those that are there."""
    while next_number(connection, "mailing") < last:
        pass


def _mailing(number: int, at: float) -> dict[str, object]:
    counts = dict.fromkeys(("external", "unresolved", "relayed"), 0) | {"users": _RECIPIENTS, "version": 1}
    said = {"sender": "news@doa.example.gov", "subject": f"kept {number}", "source": number.to_bytes(16, "big")}
    empty = {"agencies": {}, "lists": [], "reasons": [], "joined": {}, "mass": True}
    times = dict.fromkeys(("started_at", "changed_at", "held_at"), at)
    return {"id": number, "number": number, "state": "denied", **said, **times, **counts, **empty}


def _propose(store: Store, now: float) -> None:
    found = store.writer.read(partial(FINDS["held"], age=Age(now - 300 * _DAY, closed=True)))
    act = Act(now, "records@example.gov", "bench")
    wanted = NewDisposal("held", "", "", "300d", now - 300 * _DAY, None)
    number = store.call(partial(disposals.begin, wanted=wanted, act=act))
    for first in range(0, len(found), _PART):
        part = found[first : first + _PART]
        store.call(partial(disposals.add_items, number=number, first=first, found=part))

    def freeze(connection: Connection) -> None:
        disposal = disposals.find_disposal(connection, number, lock=True)
        assert disposal is not None
        disposals.propose(connection, disposal, disposals.digest_of(found), act)

    store.call(freeze)


def let(store: Store, state: DisposalState) -> None:
    """Let the list be destroyed, or wait: the gate goes on with it within seconds, or leaves it with its next slice."""
    changed = update(schema.disposals).values(state=state.value)
    store.call(lambda connection: connection.execute(changed))


def destroyed(store: Store) -> int:
    """How many messages of the list are destroyed."""

    def look(connection: Connection) -> int:
        disposal = disposals.find_disposal(connection, 1)
        return disposals.count_items(connection, disposal)["destroyed"] if disposal else 0

    return store.writer.read(look)


class Mail:
    """Ordinary mail from several sessions, and what it took."""

    def __init__(self, port: int, process: int) -> None:
        self._port, self._process, self._numbers = port, process, count()

    def measure(self, until: Callable[[float], bool]) -> tuple[list[float], float]:
        """Milliseconds to each verdict, and CPU milliseconds a message. Args: `until` is told the seconds so far."""
        taken: list[float] = []
        ended, began, spent = threading.Event(), time.perf_counter(), cpu.seconds(self._process)
        threads = [threading.Thread(target=self._send, args=(taken, ended)) for _ in range(_SESSIONS)]
        for each in threads:
            each.start()
        while not until(time.perf_counter() - began):
            time.sleep(0.25)
        ended.set()
        for each in threads:
            each.join()
        return taken, 1000 * (cpu.seconds(self._process) - spent) / len(taken)

    def _send(self, taken: list[float], ended: threading.Event) -> None:
        session = Session(self._port)
        while not ended.is_set():
            envelope, content = transaction(1, 5_000)
            began = time.perf_counter()
            session.send(envelope, 1, content)
            taken.append(1000 * (time.perf_counter() - began))
        session.close()


def measured(gate: Gate, store: Store, rounds: int, seconds: float) -> Iterator[tuple[str, list[float], float]]:
    """Yield what was under way, the times of messages, and CPU milliseconds of each, in turns."""
    assert gate.process is not None
    mail = Mail(gate.port, gate.process.pid)
    mail.measure(lambda so_far: so_far > 3)  # warm
    for number in range(1, rounds + 1):
        let(store, DisposalState.PROPOSED)
        time.sleep(_SETTLING_SECONDS)
        yield ("nothing", *mail.measure(lambda so_far: so_far > seconds))
        let(store, DisposalState.SIGNED)
        before = begun = destroyed(store)
        while begun == before:
            time.sleep(0.2)
            begun = destroyed(store)
        yield ("a disposal", *mail.measure(lambda so_far: so_far > seconds))
        print(f"round {number}: {(destroyed(store) - begun) / seconds:,.1f} messages destroyed a second", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    found: dict[str, tuple[list[float], list[float], list[float]]] = {}
    with contenders.sink() as sink:
        gate = Gate(f"smtp://127.0.0.1:{sink.port}", rules=RULES)
        store = Store(Database(gate.environment["GATEKEEPER_DATABASE"], 60))
        store.open()
        fill(store, given.bodies)
        with gate:
            for name, times, cost in measured(gate, store, given.rounds, given.seconds):
                middle, late, costs = found.setdefault(name, ([], [], []))
                middle.append(statistics.median(times))
                late.append(statistics.quantiles(times, n=100)[98])
                costs.append(cost)
        store.close()
    _show(found)


def _show(found: dict[str, tuple[list[float], list[float], list[float]]]) -> None:
    quiet = [statistics.median(each) for each in found["nothing"]]
    print("| under way | verdict, median ms | p99 ms | CPU ms a message |\n| --- | ---: | ---: | ---: |")
    for name, figures in found.items():
        middle, late, cost = map(statistics.median, figures)
        print(f"| {name} | {middle:.2f} | {late:.1f} | {cost:.2f} |")
    ratios = [statistics.median(each) / base for each, base in zip(found["a disposal"], quiet, strict=True)]
    print("a disposal to nothing: " + ", ".join(f"{100 * (each - 1):+.1f} %" for each in ratios))


if __name__ == "__main__":
    main()
