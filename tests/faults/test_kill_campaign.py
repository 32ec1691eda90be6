"""Mail of every kind goes through a gate whose processes are killed at any moment; MTAs send on until it is taken.

Nothing that was acknowledged is lost; nobody beyond the limit is reached without approval; who gets something twice
gets it for an answer that a kill cut off, and that is counted. Each campaign prints what it saw:

    make soak PYTEST_FLAGS=tests/faults/test_kill_campaign.py        eight campaigns of 130 kills each
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.scene import Client, Downstream, approve, message, on_wire, people
from tests.faults.test_hang_ups import LOW
from tests.peers import free_port, listens, wait_for
from tests.peers.gate import Gate
from tests.peers.milter import POSTFIX_3_7, SENDMAIL_8_13, MilterClient
from tests.workers.scene import gate_of, kill, processes, start, wait_replaced

LIMIT = 20  # as LOW has it
RULES = LOW.replace("within: 24h}", "within: 24h, gather: {at: [25], quiet: 1s, limit: 4s}}")
STREAMS = 8
RELEASES_AT_ONCE = 8  # jobs in hand of the delivery queue: so many groups may be in flight at a kill
PATIENCE = 120.0
LOST = (
    OSError,
    AssertionError,
    TimeoutError,
)  # AssertionError: of the milter's client, where the connection was closed
SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


@dataclass
class Part:
    """One transaction: how many tries of it were `unanswered` after their dot, and the answer at last."""

    recipients: Sequence[str]
    unanswered: int = 0
    answer: str = ""

    @property
    def is_held(self) -> bool:
        return self.answer == "held"


@dataclass
class Mailing:
    """One text to some people, in one transaction or several."""

    kind: str
    name: str
    sender: str
    parts: list[Part]
    approved_at: float | None = None
    content: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.content = message(self.name, sender=self.sender)

    @property
    def everybody(self) -> set[str]:
        return {each for part in self.parts for each in part.recipients}

    @property
    def is_taken(self) -> bool:
        return all(part.answer for part in self.parts)


def mailings(chance: random.Random, stream: int) -> Iterator[Mailing]:
    """Yield what one sender after the other sends, endlessly."""
    number = 0
    while True:
        number += 1
        words = ["".join(chance.choices(SYLLABLES, k=4)) for _ in range(4)]
        kind = chance.choice(["ordinary", "ordinary", "ordinary", "mass", "one by one", "gathered"])
        sizes = {"ordinary": [chance.randint(1, 3)], "mass": [40], "one by one": [3] * 12, "gathered": [25, 25]}[kind]
        starts = [sum(sizes[:at]) for at in range(len(sizes))]
        parts = [Part(people(size, start=start)) for size, start in zip(sizes, starts, strict=True)]
        yield Mailing(kind, " ".join(words), f"{words[0]}.{stream}.{number}@doa.example.gov", parts)


class ByProxy:
    """An MTA that sends by SMTP: what is acknowledged and not held has left by the next hop."""

    name = "smtp"

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def send(self, mailing: Mailing, part: Part) -> str:
        """Return "held", "relayed", or "" for "send again"."""
        with Client(self._gate.port) as client:
            client.hello()
            if not client.envelope(part.recipients, mailing.sender).startswith("354"):
                return ""
            part.unanswered += 1  # until there is an answer
            client.say(on_wire(mailing.content))
            answer = client.reply()
        if not answer.startswith("451 4.4.2"):  # which says: the next hop may have it
            part.unanswered -= 1
        if answer.startswith("4"):
            return ""
        assert answer.startswith("250 2.0.0"), f"{mailing.name}: {answer}"
        return "held" if "not sent yet" in answer else "relayed"


class ByMilter:
    """An MTA that asks a milter, and delivers by itself what that accepts."""

    name = "milter"

    def __init__(self, gate: Gate) -> None:
        self._port = int(gate.flags[gate.flags.index("--milter") + 1].rpartition(":")[2])

    def send(self, mailing: Mailing, part: Part) -> str:
        with MilterClient.tcp(self._port, random.choice((POSTFIX_3_7, SENDMAIL_8_13))) as client:
            verdict = client.message(mailing.sender, part.recipients, mailing.content).verdict
        said = {"accept": "relayed", "discard": "held", "tempfail": ""}
        assert verdict in said or verdict.startswith(("4", "closed")), f"{mailing.name}: {verdict}"
        return said.get(verdict, "")


class Senders:
    """So many streams; what each sends, it sends again and again until it is taken."""

    def __init__(self, mta: ByProxy | ByMilter, seed: int) -> None:
        self.sent: list[Mailing] = []
        self.errors: list[BaseException] = []
        self._mta = mta
        self._enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(mailings(random.Random(seed * 100 + each), each),))
            for each in range(STREAMS)
        ]
        for each in self._threads:
            each.start()

    def _run(self, coming: Iterator[Mailing]) -> None:
        try:
            while not self._enough.is_set():
                mailing = next(coming)
                self.sent.append(mailing)
                for part in mailing.parts:
                    self._insist(mailing, part)
        except BaseException as error:
            self.errors.append(error)

    def _insist(self, mailing: Mailing, part: Part) -> None:
        until = time.monotonic() + PATIENCE
        while not part.answer:
            assert time.monotonic() < until, f"not taken in {PATIENCE} s: {mailing.name}"
            try:
                part.answer = self._mta.send(mailing, part)
            except LOST as error:
                if str(error).startswith(mailing.name):
                    raise
            if not part.answer:
                time.sleep(0.1)

    def stop(self) -> None:
        self._enough.set()
        for each in self._threads:
            each.join()
        if self.errors:
            raise self.errors[0]


class Killer:
    """Kills, waits until all is there again, and approves some of what is held meanwhile."""

    def __init__(self, gate: Gate, workers: int, chance: random.Random) -> None:
        self.times: list[float] = []
        self._gate, self._workers, self._chance = gate, workers, chance

    def kill(self) -> None:
        """End one process, or all of them, somewhere in the next second."""
        time.sleep(self._chance.uniform(0.0, 0.7))
        self.times.append(time.monotonic())
        if self._workers == 1 or self._chance.random() < 0.3:
            self._gate.kill()
            wait_for(lambda: not listens(self._gate.port), self._gate.log)  # workers end when they miss their parent
            start(self._gate)
        else:
            name = self._chance.choice(sorted(processes(self._gate)))
            wait_replaced(self._gate, name, kill(self._gate, name))

    def approve(self, sent: Sequence[Mailing]) -> None:
        """Approve up to three mailings that are held whole; the release goes on while the next kills come."""
        numbers = {each["subject"]: each["id"] for each in self._gate.mailings("held")}
        waiting = [each for each in sent if each.is_taken and not each.approved_at and each.name in numbers]
        for mailing in waiting[-3:]:
            mailing.approved_at = time.monotonic()
            approve(self._gate, numbers[mailing.name])


@contextmanager
def played(listener: type, workers: int, database: str | None) -> Iterator[tuple[Gate, Downstream]]:
    """Yield a running gate and its next hop."""
    flags = ["--milter", f"127.0.0.1:{free_port()}"] if listener is ByMilter else []
    with (
        Downstream() as downstream,
        gate_of(workers, downstream, rules=RULES, database=database, flags=flags) as gate,
    ):
        yield gate, downstream


def campaign(listener: type, workers: int, database: str | None, kills: int, seed: int) -> Counter[str]:
    """Kill so often while mail comes; then look at every mailing. Returns what was seen, counted."""
    chance = random.Random(seed)
    with played(listener, workers, database) as (gate, downstream):
        senders, killer = Senders(listener(gate), seed), Killer(gate, workers, chance)
        try:
            for number in range(kills):
                if number % 4 == 3:
                    killer.approve(senders.sent)
                killer.kill()
        finally:
            senders.stop()
        wait_for(lambda: _all_released(gate), gate.log, PATIENCE)
        listed = {each["subject"]: each for each in _all_mailings(gate)}
        assert "Traceback" not in gate.log(), gate.log()[-5000:]
        seen = Counter(kills=len(killer.times))
        for mailing in senders.sent:
            seen += look_at(mailing, downstream, listed.get(mailing.name), killer.times)
    assert seen["groups released twice"] <= RELEASES_AT_ONCE * kills
    return seen


def _all_released(gate: Gate) -> bool:
    """True once no release waits; lists of letters wait for their hour."""
    code, text = gate.page("/metrics")
    return code == 200 and 'gatekeeper_queue{kind="release"} 0.0' in text


def _all_mailings(gate: Gate) -> Iterator[dict[str, Any]]:
    """Yield all mailings, of which a list has a thousand at most."""
    after: list[str] = []
    while some := gate.ask("mailing", "list", "--limit", "1000", *after):
        yield from some
        after = ["--after", some[-1]["id"]]


def look_at(
    mailing: Mailing, downstream: Downstream, listed: dict[str, Any] | None, kills: list[float]
) -> Counter[str]:
    """Hold one mailing to what is promised; return what is to be counted of it."""
    copies = downstream.copies(mailing.content)
    by_mta = Counter(each for part in mailing.parts if part.answer == "relayed" for each in part.recipients)
    reached = set(copies) | set(by_mta)
    assert reached <= mailing.everybody
    held = [part for part in mailing.parts if part.is_held]
    if held:
        assert listed is not None, f"{mailing}: acknowledged as held, and lost"
        assert listed["users"] == len(mailing.everybody), (mailing, listed)
        assert listed["batches"] == len(held), (mailing, listed)
    if mailing.approved_at is None:
        assert len(reached) <= LIMIT, f"{mailing}: {len(reached)} reached without approval"
        assert not held or mailing.kind == "one by one" or not reached, f"{mailing}: held, and {len(reached)} reached"
    else:
        assert reached == mailing.everybody, f"{mailing}: approved, and not for {mailing.everybody - reached}"
    since = sum(at > mailing.approved_at for at in kills) if mailing.approved_at else 0
    return _repeats(mailing, copies, since) + Counter(
        {"mailings": 1, "transactions": len(mailing.parts), mailing.kind: 1}
    )


def _repeats(mailing: Mailing, copies: Counter[str], kills_since_approval: int) -> Counter[str]:
    """Count who got what was acknowledged twice, and hold it to the answers that were cut off."""
    seen: Counter[str] = Counter()
    for part in mailing.parts:
        most = max(copies[each] for each in part.recipients)
        if part.is_held:
            assert most <= 1 + kills_since_approval, (mailing, most)
            seen["groups released twice"] += max(0, most - 1)
            seen["released"] += bool(most)
        else:
            assert most <= 1 + part.unanswered, (mailing, part, most)
            seen["relayed twice after an answer that was cut off"] += max(0, most - 1)
            seen["relayed"] += 1
        seen["answers cut off"] += part.unanswered
    return seen


def test_a_gate_that_is_killed_now_and_then():
    assert campaign(ByMilter, workers=1, database=None, kills=4, seed=1)["kills"] == 4


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("listener", [ByProxy, ByMilter], ids=["smtp", "milter"])
def test_a_thousand_kills(listener, workers, database_url, capsys):
    database = None if database_url.startswith("sqlite") else database_url
    seen = campaign(listener, workers, database, kills=130, seed=2)
    with capsys.disabled():
        print(f"\n{listener.name}, {database_url.partition(':')[0]}, {workers} workers: {dict(seen)}")
