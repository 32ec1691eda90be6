"""An SQLite database with its schema, made once: to go through all migrations takes longer than many a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gatekeeper.store import Database, Store


def lay_out(path: Path) -> str:
    """Put a database without any mail there; its address."""
    path.write_bytes(_empty())
    return f"sqlite:///{path}"


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gate.db"
        store = Store(Database(f"sqlite:///{path}", timeout=60))
        store.open()
        store.close()
        assert not path.with_name("gate.db-wal").exists(), "part of it is not in its file yet"
        return path.read_bytes()
