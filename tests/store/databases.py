"""Databases with their schema, made once: to go through all migrations takes longer than many a test."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from gatekeeper.store import Database, Store


def memory() -> str | None:
    """A folder in memory, where there is one with room: what tests kill is a process, which loses nothing of a file.

    None for the folder of all temporary files.
    """
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > _ROOM else None


_ROOM = 2 << 30


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


_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_COLUMNS = """
    SELECT relname, attname, atttypid, atttypmod, attnotnull FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace ORDER BY relname, attnum
"""
_USED = "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class UsedAgain:
    """A Postgres database that one test after another gets as if it were new: to make one takes five times as long."""

    def __init__(self, url: str) -> None:
        self._connection = connection = psycopg.connect(url)  # one for all tests: each new one reads the catalogue anew
        with connection.transaction():
            self._columns = connection.execute(_COLUMNS).fetchall()
            self._sequences = connection.execute(_USED).fetchall()
            self._tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
            self._rows = {name: _copied(connection, name) for name in self._filled(connection)}

    def empty(self) -> bool:
        """Give it back the rows that it had at first; return False where more than its rows has changed."""
        try:
            with self._connection.transaction():
                return self._refill(self._connection)
        except psycopg.OperationalError:  # a test has ended every connection
            return False

    def _refill(self, connection: psycopg.Connection) -> bool:
        connection.execute(_END_OTHERS)
        if connection.execute(_COLUMNS).fetchall() != self._columns:
            return False
        connection.execute("SET LOCAL session_replication_role = replica")  # no foreign key is looked after
        # not DELETE: in new files rows lie in the order in which they come, as in a new database
        filled = sql.SQL(", ").join(map(sql.Identifier, self._filled(connection)))
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(filled))
        for name, rows in self._rows.items():
            with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
                copy.write(rows)
        self._set_back(connection)
        return True

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _filled(self, connection: psycopg.Connection) -> list[str]:
        """The tables with rows."""
        each = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
        parts = [each.format(sql.Literal(name), sql.Identifier(name)) for name in self._tables]
        return [name for (name,) in connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()]

    def _set_back(self, connection: psycopg.Connection) -> None:
        for name, _ in connection.execute(_USED).fetchall():
            connection.execute("SELECT setval(%s::regclass, 1, false)", [name])
        for name, last in self._sequences:
            connection.execute("SELECT setval(%s::regclass, %s)", [name, last])


def _copied(connection: psycopg.Connection, name: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name))) as copy:
        return b"".join(bytes(part) for part in copy)
