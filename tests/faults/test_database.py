"""The database is locked or gone: 451 4.3.0 within ten seconds, no mass mail passes, and it goes on when it is back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from gatekeeper.service.database import _LOOK_SECONDS
from tests.faults.scene import Client, Downstream, approve, held_as, insist, message, people, send, wait_queue_empty
from tests.peers import wait_for
from tests.peers.gate import Gate
from tests.peers.sink import delay

PROMISED = 10.0  # seconds in which a verdict is given
QUICKLY = ["--database-timeout", "1s", "--lease", "2s"]
OUR_FAULT = "451 4.3.0 Not sent yet: the mail gate cannot decide now, try again later"
Outage = Callable[[Gate, str], AbstractContextManager[None]]


@contextmanager
def sqlite_locked(gate: Gate, _: str) -> Iterator[None]:
    connection = sqlite3.connect(gate.home / "gate.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.close()


@contextmanager
def sqlite_gone(gate: Gate, _: str) -> Iterator[None]:
    """The files are moved away, as by a hand that slipped, and put back: as `mv` does it, the database first."""
    (gate.home / "away").mkdir()
    names = sorted(path.name for path in gate.home.glob("gate.db*"))
    for name in names:
        (gate.home / name).rename(gate.home / "away" / name)
    yield
    time.sleep(_LOOK_SECONDS + 0.1)  # the gate looks by itself as well
    assert not (gate.home / "gate.db").exists(), "a new database was begun beside the lost one"
    for name in names:
        (gate.home / "away" / name).rename(gate.home / name)


@contextmanager
def postgres_locked(_: Gate, url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        for table in ("mailings", "batches", "jobs"):
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def postgres_gone(_: Gate, url: str) -> Iterator[None]:
    """The server lets nobody in, and ends all who are."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


KINDS = [("sqlite", sqlite_locked), ("sqlite", sqlite_gone), ("postgres", postgres_locked), ("postgres", postgres_gone)]
kinds = pytest.mark.parametrize(("database", "outage"), KINDS, ids=lambda value: getattr(value, "__name__", value))


def url_of(database: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres_url") if database == "postgres" else ""


def send_with_patience(gate: Gate, recipients: list[str], content: bytes) -> str:
    """The reply to a message's end, within what is promised; TimeoutError where it takes longer."""
    with Client(gate.port) as client:
        client.hello()
        assert client.envelope(recipients).startswith("354")
        client.socket.settimeout(PROMISED)
        return client.content(content)


def see_mail_refused_and_recover(outage: Outage, url: str, *flags: str) -> None:
    held, mass, small = message("held before"), message("mass mail"), message("small mail")
    with Downstream() as downstream, Gate(downstream.address, database=url or None, flags=[*QUICKLY, *flags]) as gate:
        mailing = held_as(send(gate, people(2400), held))
        wait_queue_empty(gate)
        downstream.sink.mails.clear()
        with outage(gate, url):
            assert send_with_patience(gate, people(2400), mass) == OUR_FAULT
            assert send_with_patience(gate, people(1), small) == OUR_FAULT
            assert not downstream.sink.mails
        held_as(insist(gate, people(2400), mass))
        assert insist(gate, people(1), small) == "250 2.0.0 taken"
        assert downstream.copies(small) == dict.fromkeys(people(1), 1)
        assert not downstream.copies(mass) + downstream.copies(held)
        assert mailing in [listed["id"] for listed in gate.mailings("held")]


def see_release_go_on(outage: Outage, url: str) -> None:
    """An outage as answers are to be written down: they are, when it is over, and nobody gets the mail twice."""
    content = message("release")
    with Downstream() as downstream, Gate(downstream.address, database=url or None, flags=QUICKLY) as gate:
        mailing = held_as(send(gate, people(2400), content))
        wait_queue_empty(gate)
        downstream.sink.at("DOT", delay(0.5))
        approve(gate, mailing)
        wait_for(lambda: bool(downstream.copies(content)), gate.log)
        with outage(gate, url):
            wait_for(lambda: "waiting for the database" in gate.log(), gate.log)
        downstream.sink.behave()
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(people(2400), 1)
        assert gate.mailings("released")[0]["sent"] == 2400


@pytest.mark.parametrize("outage", [sqlite_locked, sqlite_gone])
def test_mail_waits_for_the_database(outage):
    see_mail_refused_and_recover(outage, "")


def test_mail_waits_for_postgres(postgres_url):
    see_mail_refused_and_recover(postgres_locked, postgres_url)


def test_a_release_waits_for_the_database():
    see_release_go_on(sqlite_locked, "")


def test_an_allowance_lets_small_mail_pass_and_mass_mail_never():
    with Downstream() as downstream, Gate(downstream.address, flags=[*QUICKLY, "--outage-allowance", "5"]) as gate:
        with sqlite_locked(gate, ""):
            assert send(gate, people(3), message("three")) == "250 2.0.0 taken"
            for name, recipients in {"three more": people(3), "mass": people(2400), "six": people(6)}.items():
                assert send(gate, recipients, message(name)) == OUR_FAULT
        assert downstream.copies(message("three")).total() == len(downstream.sink.recipients) == 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_removed_under_a_running_gate_is_seen_saved_and_waits_for_a_person(workers):
    """Mail answered 250 is there after a kill; nothing more is taken until somebody starts the gate again."""
    before, after = message("held before"), message("after")
    with Downstream() as downstream, Gate(downstream.address, flags=[*QUICKLY, "--workers", workers]) as gate:
        wait_for(lambda: workers == "1" or gate.log().count(" is ready: ") == 3, gate.log)
        mailing = held_as(send(gate, people(2400), before))
        (gate.home / "gate.db-wal").unlink()
        wait_for(lambda: "gate.db-wal was removed" in gate.page("/readyz")[1], gate.log, 1.5)
        assert gate.page("/readyz")[0] == 503
        assert {send(gate, recipients, after) for recipients in (people(1), people(2400))} == {OUR_FAULT}
        wait_for(lambda: not (gate.home / "gate.db-shm").exists(), gate.log)
        assert "is saved in" in gate.log()
        gate.kill()
        gate.start()
        assert [(each["id"], each["batches"]) for each in gate.mailings("held")] == [(mailing, 1)]
        approve(gate, mailing)
        wait_for(lambda: downstream.copies(before).total() == 2400, gate.log)


@pytest.mark.soak
@kinds
def test_mail_waits_for_every_kind_of_outage(request, database, outage):
    """With the defaults: a decision may wait five seconds for the database."""
    see_mail_refused_and_recover(outage, url_of(database, request), "--database-timeout", "5s")


@pytest.mark.soak
@kinds
def test_a_release_waits_for_every_kind_of_outage(request, database, outage):
    see_release_go_on(outage, url_of(database, request))
