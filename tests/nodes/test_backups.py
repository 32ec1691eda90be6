"""A backup that is taken while mail comes in, restored elsewhere: what had been acknowledged before it is in it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing

import psycopg
import pytest

from gatekeeper.store import Database, Store, batch_views, batches, views
from tests.faults.scene import Downstream, message, people, send
from tests.peers import require
from tests.peers.gate import RULES, Gate
from tests.peers.postgres import BIN
from tests.workers.scene import streams

HELD = ("first held", "second held", "third held")


def fill(gate: Gate) -> None:
    """Batches of three mailings that are held, acknowledged."""
    for subject in HELD:
        assert "Held for approval" in send(gate, people(2400), message(subject, 100_000))


def see_all_of_it(url: str) -> None:
    """The restored database has every batch, whole, and a gate can go on with it."""
    store = Store(Database(url, 10))
    store.open()
    try:
        found = {each.subject: each for each in store.call(views.list_mailings) if each.state == "held"}
        assert set(HELD) <= set(found)
        for subject in HELD:
            (batch,) = store.call(lambda c, key=found[subject].key: batch_views.find_batches(c, key))
            content = store.call(lambda c, body=batch.body: b"".join(batches.read_chunks(c, body)))
            assert content == message(subject, 100_000) and len(batch.recipients) == 2400
    finally:
        store.close()


def test_sqlite_backed_up_under_load(tmp_path):
    with Downstream() as downstream, Gate(downstream.address, rules=RULES) as gate, streams(gate, 4):
        fill(gate)
        with (
            closing(sqlite3.connect(gate.home / "gate.db")) as live,
            closing(sqlite3.connect(tmp_path / "b.db")) as copy,
        ):
            live.backup(copy)
    see_all_of_it(f"sqlite:///{tmp_path}/b.db")


@pytest.mark.soak
def test_postgres_dumped_under_load(postgres_url, postgres_server, tmp_path):
    require("pg_dump") if not (BIN / "pg_dump").exists() else None
    name = "restored" + tmp_path.name.replace("-", "_")[-20:]
    with (
        Downstream() as downstream,
        Gate(downstream.address, rules=RULES, database=postgres_url) as gate,
        streams(gate, 4),
    ):
        fill(gate)
        dump = subprocess.run(
            [BIN / "pg_dump", "--format=custom", postgres_url], capture_output=True, check=True
        ).stdout
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgres_server.replace("/postgres?", f"/{name}?")
    subprocess.run([BIN / "pg_restore", f"--dbname={url}"], input=dump, check=True)
    see_all_of_it(url)
    shutil.rmtree(tmp_path, ignore_errors=True)
