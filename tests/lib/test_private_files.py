"""What holds other people's mail may be read by its owner alone, whatever the umask says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.lib.private_files import make_private_folder, write_private_file
from gatekeeper.store import Database
from tests.peers.gate import Gate

PEOPLE = [f"user{i}@{'doa' if i % 2 else 'dphhs'}.example.gov" for i in range(2100)]
CONTENT = b"From: head@doa.example.gov\r\nSubject: Open enrolment\r\n\r\nHello\r\n"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path, *names: str) -> dict[str, int]:
    return {name: (folder / name).stat().st_mode & 0o777 for name in names}


def test_a_running_gate_its_exports_and_its_maildir():
    with Gate("maildir:out/mail") as gate:
        assert gate.send("jo@doa.example.gov", ["b@doa.example.gov"], CONTENT)[0] == 250
        assert gate.send("head@doa.example.gov", PEOPLE, CONTENT)[0] == 250
        gate.cli("mailing", "export", "M-1", "--by", "cio@example.gov", "--to", "copies/first")
        assert set(modes(gate.home, "gate.db", "gate.db-wal", "gate.db-shm", "gate.db-turn").values()) == {0o600}
        folders = ("copies", "copies/first", "out", "out/mail", "out/mail/new", "out/mail/tmp")
        assert set(modes(gate.home, *folders).values()) == {0o700}
        files = [*(gate.home / "copies/first").iterdir(), *(gate.home / "out/mail/new").iterdir()]
        assert len(files) >= 3 and {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/gate.db", 5)
    database.prepare()
    with database.engine.connect():  # while it is open, -wal and -shm are there
        for name in ("gate.db", "gate.db-wal", "gate.db-shm"):
            (tmp_path / name).chmod(0o644)
        Database(f"sqlite:///{tmp_path}/gate.db", 5).prepare()
        assert set(modes(tmp_path, "gate.db", "gate.db-wal", "gate.db-shm").values()) == {0o600}
    database.dispose()


def test_a_copy_into_another_database(tmp_path):
    with Gate(f"maildir:{tmp_path}/out") as gate:
        gate.kill()
        gate.cli("db", "copy", "--to", f"sqlite:///{tmp_path}/copy.db")
    assert modes(tmp_path, "copy.db") == {"copy.db": 0o600}


def test_nothing_that_is_there_is_written_over(tmp_path):
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    write_private_file(tmp_path / "a" / "b" / "c", b"1")
    with pytest.raises(FileExistsError):
        write_private_file(tmp_path / "a" / "b" / "c", b"2")
