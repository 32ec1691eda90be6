"""gate.db-wal is removed under processes that have it open: seen at once, saved, and nothing written from then on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatekeeper.store import Database, Store, StoreError
from gatekeeper.store.db import write_ahead_log
from tests.store.databases import lay_out

ALL = ("", "-shm", "-wal")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lay_out(tmp_path / "gate.db")
    return tmp_path / "gate.db"


@pytest.fixture
def stores(path: Path) -> Iterator[list[Store]]:
    """Two processes' worth of one database."""
    opened = [Store(Database(f"sqlite:///{path}", timeout=1)) for _ in range(2)]
    for store in opened:
        store.open(writing=False)
    yield opened
    for store in opened:
        store.close()


def write(store: Store, name: str) -> None:
    store.call(lambda c: c.exec_driver_sql("INSERT INTO counters (name, value) VALUES (?, 1)", (name,)))


def names_in(path: Path) -> set[str]:
    """What another program finds in the database."""
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM counters WHERE length(name) = 1")}


def remove(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        os.unlink(f"{path}{suffix}")


@pytest.mark.parametrize("suffixes", [["-wal"], ["-wal", "-shm"]])
def test_a_removed_log_is_seen_and_saved(path, stores, suffixes):
    first, second = stores
    write(first, "a")
    write(second, "b")
    remove(path, *suffixes)
    for store in stores:
        with pytest.raises(StoreError, match=r"gate\.db-wal was removed.*is saved in"):
            write(store, "c")
        with pytest.raises(StoreError, match="was removed"):
            store.writer.read(lambda c: None)
    assert names_in(path) == {"a", "b"}


def test_nothing_is_written_until_it_is_opened_anew(path, stores):
    first, _ = stores
    write(first, "a")
    remove(path, "-wal")
    for store in stores:
        for _ in range(2):
            with pytest.raises(StoreError, match="until somebody"):
                write(store, "b")
    with Opened(path) as after:
        write(after, "c")
        assert names_in(path) == {"a", "c"}
        with pytest.raises(StoreError, match="until somebody"):
            write(first, "d")


def test_what_is_committed_as_the_log_goes_is_not_acknowledged(path, stores):
    first, second = stores

    def write_and_remove(connection):
        connection.exec_driver_sql("INSERT INTO counters (name, value) VALUES ('a', 1)")
        remove(path, "-wal")

    with pytest.raises(StoreError, match="was removed"):
        first.call(write_and_remove)
    with pytest.raises(StoreError, match="was removed"):
        write(second, "b")
    assert names_in(path) == {"a"}, "it is kept all the same: the client comes again and is counted once"


def test_a_log_that_another_has_begun_is_left_alone(path, stores):
    first, _ = stores
    write(first, "a")
    remove(path, "-wal")
    Path(f"{path}-wal").touch()
    with pytest.raises(StoreError, match="do not end it"):
        write(first, "b")
    remove(path, "-wal")
    with pytest.raises(StoreError, match="is saved in"):
        write(first, "b")
    assert names_in(path) == {"a"}


def test_who_comes_after_a_kill_finds_an_index_without_its_log(path, stores):
    """As after SIGKILL: the index of the log is there, what was in the log is gone."""
    write(stores[0], "a")
    remove(path, "-wal")
    late = Store(Database(f"sqlite:///{path}", timeout=1))
    with pytest.raises(StoreError, match=r"remove .*gate\.db-shm to go on without it"):
        late.open()
    assert not Path(f"{path}-wal").exists(), "nobody has begun another one"
    remove(path, "-shm")
    late.open()
    late.close()


def test_readers_that_look_meanwhile_do_not_keep_it_from_being_saved(path, stores):
    first, second = stores
    write(first, "a")
    with second.database.engine.connect() as reading:
        reading = reading.execution_options(readonly=True)
        reading.exec_driver_sql("SELECT * FROM counters").fetchall()
        write(first, "b")
        remove(path, "-wal")
        with pytest.raises(StoreError, match="do not end it"):
            write(first, "c")
    with pytest.raises(StoreError, match="is saved in"):
        write(first, "c")
    assert names_in(path) == {"a", "b"}


class Opened(Store):
    """A store of the database, as a process that begins now has it."""

    def __init__(self, path: Path) -> None:
        super().__init__(Database(f"sqlite:///{path}", timeout=1))

    def __enter__(self) -> Opened:
        self.open(writing=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def move(path: Path, suffixes: tuple[str, ...], place: Path) -> None:
    for suffix in suffixes:
        os.rename(f"{path}{suffix}", f"{place}{suffix}")


def test_a_database_that_was_moved_away_with_its_log_goes_on_when_it_is_back(path, stores, tmp_path):
    away = tmp_path / "away.db"
    for number, store in enumerate(stores):
        write(store, f"{number}")
    move(path, ALL, away)
    for store in stores:
        with pytest.raises(StoreError, match="is not the file that was opened"):
            store.database.check_log()
        with pytest.raises(StoreError, match="is gone: put it back"):
            write(store, "x")
    move(away, ALL, path)
    for name, store in zip("ab", stores, strict=True):
        write(store, name)
    assert names_in(path) == set("01ab")


def test_files_that_are_moved_one_after_the_other_are_no_alarm(path, stores, tmp_path, monkeypatch):
    """The gate looks between two moves: the log goes before the database, and comes back after it."""
    away, first = tmp_path / "away.db", stores[0]
    write(first, "a")
    moves = [(path, suffix, away) for suffix in reversed(ALL)] + [(away, suffix, path) for suffix in ALL]

    def move_next(_: float = 0) -> None:
        old, suffix, new = moves.pop(0)
        move(old, (suffix,), new)

    monkeypatch.setattr(write_ahead_log, "time", SimpleNamespace(sleep=move_next))
    move_next()
    with pytest.raises(StoreError, match="is not the file that was opened"):
        first.database.check_log()
    assert len(moves) == 3
    move_next()
    first.database.check_log()
    assert not moves
    write(first, "b")
    assert names_in(path) == {"a", "b"}


def test_a_log_that_goes_as_it_should_is_no_alarm(path):
    for name in "abc":
        with Opened(path) as store:
            write(store, name)
        assert not Path(f"{path}-wal").exists()
    with Opened(path) as one, Opened(path) as other:
        write(one, "d")
        assert other.database.truncate_log()
        write(other, "e")
        write(one, "f")
    assert names_in(path) == set("abcdef")
