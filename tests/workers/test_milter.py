"""The milter listener of several workers, by TCP and a unix socket: a mailing cut over all of it is one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.store.db.sqlite_lock import turn
from tests.faults.scene import LIMIT, SENDER, Downstream, message, people, send
from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.peers.milter import Answer, MilterClient
from tests.workers.scene import gate_of, kill, processes, wait_replaced

QUARTER = 650


def ask(milter: str, recipients: list[str], content: bytes) -> Answer:
    """One message as an MTA tells it; the answer is "closed" where the gate has hung up."""
    with caller(milter) as mta:
        return mta.message(SENDER, recipients, content)


def caller(milter: str) -> MilterClient:
    host, _, place = milter.partition(":")
    return MilterClient.unix(place) if host == "unix" else MilterClient.tcp(int(place))


@contextmanager
def only(gate: Gate, name: str) -> Iterator[None]:
    """Let no other worker take anything in. None is stopped with the database in its hands: all would wait for it."""
    others = [process for each, process in processes(gate).items() if each not in (name, "office")]
    with turn(gate.home / "gate.db", 30):
        for process in others:
            os.kill(process, signal.SIGSTOP)
        wait_for(lambda: all(_is_stopped(process) for process in others), gate.log)
    try:
        yield
    finally:
        for process in others:
            os.kill(process, signal.SIGCONT)


def _is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def held_mailing(gate: Gate, subject: str) -> dict[str, Any]:
    """The one of that subject."""
    (held,) = (each for each in gate.mailings("held") if each["subject"] == subject)
    return held


@pytest.fixture(scope="module", params=["tcp", "unix"])
def milter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `--milter` says."""
    return f"127.0.0.1:{free_port()}" if request.param == "tcp" else f"unix:{tmp_path_factory.mktemp('m')}/milter"


@pytest.fixture(scope="module")
def downstream(milter: str) -> Iterator[Downstream]:
    """A new one for each gate."""
    with Downstream() as downstream:
        yield downstream


@pytest.fixture(scope="module")
def gate(milter: str, downstream: Downstream) -> Iterator[Gate]:
    """In their first life, which the first test ends, workers are killed when they have kept a message."""
    with gate_of(2, downstream, flags=["--milter", milter], kill_at="sealed:1") as gate:
        yield gate


def test_a_worker_killed_between_keeping_and_saying_so_has_one_batch_after_the_retry(gate: Gate, milter: str) -> None:
    content, everyone, first = message("picnic"), people(2600), processes(gate)
    verdicts = ["closed"]
    while verdicts[-1] == "closed" and len(verdicts) < 5:
        verdicts.append(ask(milter, everyone, content).verdict)
    assert verdicts[1] == "closed" and verdicts[-1] == "discard"
    (held,) = gate.mailings("held")
    assert (held["users"], held["batches"]) == (2600, 1)
    for name in ("worker-1", "worker-2"):
        if processes(gate)[name] == first[name]:  # it took nothing in: spare the other tests its end
            kill(gate, name)
        wait_replaced(gate, name, first[name])


def test_a_mailing_half_by_each_listener_and_half_by_each_worker_is_one(
    gate: Gate, milter: str, downstream: Downstream
) -> None:
    content = message("enrolment")
    quarters = [people(QUARTER, start=QUARTER * each) for each in range(4)]
    with only(gate, "worker-1"):
        assert send(gate, quarters[0], content).startswith("250 ")
        assert ask(milter, quarters[1], content).verdict == "accept"
    with only(gate, "worker-2"):
        assert send(gate, quarters[2], content).startswith("250 ")
        assert ask(milter, quarters[3], content).verdict == "discard"
    held = held_mailing(gate, "enrolment")
    assert (held["users"], held["batches"]) == (4 * QUARTER, 1)
    with only(gate, "worker-1"):  # a client that tries again, by the other worker
        assert ask(milter, quarters[3], content).verdict == "discard"
    assert held_mailing(gate, "enrolment") == held
    assert downstream.copies(content).total() == 2 * QUARTER  # what the milter passed is the mail server's


def test_many_mail_servers_at_once_never_get_a_mailing_past_the_limit(gate: Gate, milter: str) -> None:
    content = message("parking")
    cut = [people(60, start=60 * each) for each in range(45)]
    with ThreadPoolExecutor(20) as pool:
        verdicts = [answer.verdict for answer in pool.map(lambda batch: ask(milter, batch, content), cut)]
    assert set(verdicts) == {"accept", "discard"}
    assert 0 < 60 * verdicts.count("accept") <= LIMIT
    held = held_mailing(gate, "parking")
    assert (held["users"], held["batches"]) == (60 * 45, verdicts.count("discard"))
