"""Somebody who reads the database and does not end: the write-ahead log has a limit, and is small again afterwards."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from gatekeeper.store import Database, Store
from gatekeeper.store.db import space
from tests.store.databases import lay_out

MB = 1 << 20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(space, "LARGEST_LOG", 6 * MB)
    monkeypatch.setattr("gatekeeper.store.db.engine.LOG_KEPT", 1 * MB)
    lay_out(tmp_path / "gate.db")
    opened = Store(Database(f"sqlite:///{tmp_path}/gate.db", timeout=5))
    opened.open(writing=False)
    yield opened
    opened.close()


def write(store: Store, name: str) -> None:
    """Write a megabyte."""
    row = (name.encode() * 16, MB)
    store.call(lambda c: c.exec_driver_sql("INSERT INTO secrets (name, value) VALUES (?, zeroblob(?))", row))


def size_of_log(tmp_path: Path) -> int:
    return (tmp_path / "gate.db-wal").stat().st_size


def test_a_reader_that_stays_does_not_let_the_log_grow_without_bound(store, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    reader = sqlite3.connect(tmp_path / "gate.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM secrets").fetchall()
    written, now = 0, 0.0
    while not store.is_short_of_space(now) and written < 20:
        write(store, f"{written:02}")
        written, now = written + 1, now + 1.0
    assert size_of_log(tmp_path) < 8 * MB and written < 10
    assert "gate.db-wal has more than 6 MB, for some process has read" in caplog.text
    reader.close()
    for name in ("first", "second"):
        write(store, name)
    assert size_of_log(tmp_path) < 3 * MB, "it is emptied and cut by itself"
    assert not store.is_short_of_space(now + 1.0) and "there is room again" in caplog.text


def test_the_log_is_small_after_much_was_written(store, tmp_path):
    with sqlite3.connect(tmp_path / "gate.db", isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchall()
        for number in range(5):
            write(store, f"{number}")
        assert size_of_log(tmp_path) > 5 * MB
        reader.execute("ROLLBACK")
        write(store, "x")  # checkpoints all
        write(store, "y")  # begins the log anew
    assert size_of_log(tmp_path) < 3 * MB
