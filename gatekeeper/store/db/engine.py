"""Open the database: SQLite with the settings that durability needs, or Postgres; migrate it before it is used."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gatekeeper.lib.private_files import create_private_file, make_private
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.store.db.clock import Clock
from gatekeeper.store.db.errors import StoreError, StoreSetupError, translate
from gatekeeper.store.db.schema_version import oldest_that_works, record_oldest
from gatekeeper.store.db.space import LOG_KEPT, Space
from gatekeeper.store.db.sqlite_lock import turn
from gatekeeper.store.db.write_ahead_log import WriteAheadLog

log = logging.getLogger("gatekeeper.store")
NEWEST_SCHEMA = "0038"
_STATEMENTS = 512  # kept prepared by a driver: all of the message path, in each of their sizes
_TRUNCATE_MILLISECONDS = 200  # for which writers may have to wait
_CLEARED = (  # what mail said, what people said of it and did
    "body_chunks", "bodies", "batch_recipients", "batches", "jobs", "texts", "text_words", "mailings", "requests",
    "permits", "permit_scopes", "suspensions", "events", "matter_people", "mailing_people", "mailing_keys",
    "shared_keys", "cases", "case_items", "searches", "exports", "preserves", "custodians", "disposals",
    "disposal_items", "audit_blocks",
)  # fmt: skip
_CLEARING = (
    *(f'VACUUM "{name}"' for name in _CLEARED),
    "DROP INDEX IF EXISTS text_words_by_word_ccnew",  # left by whoever was killed at it
    "REINDEX INDEX CONCURRENTLY text_words_by_word",
)
_CLEAR_LOCK = 0x636C7273  # an advisory lock of Postgres, of the session
_MIGRATION_LOCK = 0x67617465  # an advisory lock of Postgres: one process migrates, the others wait


class Database:
    """An engine, and what differs by kind of database."""

    def __init__(self, url: str, timeout: float, connections: int = 8) -> None:
        """Open lazily; raise StoreSetupError for a bad URL.

        Args: `url` as in --database, `timeout` in seconds; `connections` is the most to Postgres at once.
        """
        self.url = _read_url(url)
        self.timeout = timeout
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = Path(self.url.database or "") if self.is_sqlite else None
        self.write_ahead_log = WriteAheadLog(self.path, timeout) if self.path else None
        self.space = Space(self.path)
        self.connections = connections
        self.clock = Clock(shared=not self.is_sqlite)
        self.engine = _make_engine(self.url, timeout, connections)
        self._inode: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """The kind of database: sqlite, postgresql."""
        return self.url.get_backend_name()

    def prepare(self) -> None:
        """Bring the schema up to date; raise StoreError, or StoreSetupError for one that this program cannot use.

        A newer schema is left as it is where its migrations say that this program works on it: nodes are upgraded one
        after the other.
        """
        self._keep_private()
        if self.write_ahead_log:
            self.write_ahead_log.check_beside()
        try:
            if not self._is_current():
                with self.engine.connect() as connection:
                    self._migrate(connection)
            if self.write_ahead_log:
                self.write_ahead_log.hold()
        except SQLAlchemyError as error:
            raise translate(error) from error
        except sqlite3.Error as error:
            raise StoreError(f"database: {error}") from error
        self._inode = self._current_inode()

    def _is_current(self) -> bool:
        """Return True where there is nothing to migrate; looking does not wait for who writes."""
        with self.engine.connect() as connection:
            return schema_version(connection.execution_options(readonly=True)) == NEWEST_SCHEMA

    def _keep_private(self) -> None:
        """Let only the owner read an SQLite database; the files that SQLite puts beside it get the same mode.

        An existing file is not opened, because closing it would drop the locks that SQLite has on it.
        """
        if self.path is None:
            return
        with suppress(OSError):  # it exists, or cannot be made, for which SQLite has the better error
            create_private_file(self.path).close()
        for suffix in ("", "-wal", "-shm"):
            make_private(Path(f"{self.path}{suffix}"))

    def _migrate(self, connection: Connection) -> None:
        version = schema_version(connection)
        if version == NEWEST_SCHEMA:
            return
        if version is not None and version > NEWEST_SCHEMA:
            if oldest_that_works(connection, version) <= NEWEST_SCHEMA:
                log.warning("database: its schema is %s, newer than %s: upgrade this node soon", version, NEWEST_SCHEMA)
                return
            raise StoreSetupError(
                f"database: its schema is {version}, this program knows {NEWEST_SCHEMA}: install the newer gatekeeper"
            )
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # an index on a large table takes its time
        _upgrade(connection)
        connection.commit()

    def check_present(self) -> None:
        """Raise StoreError where an SQLite file that we opened is no longer the one at its path.

        A connection to a deleted file goes on working and loses all that it is given.
        """
        if self.path is None or self._inode is None:
            return
        current = self._current_inode()
        if current == self._inode:
            self.check_log()
            return
        self.engine.dispose()
        if current is None:
            raise StoreError(f"database: {self.path} is gone: put it back, or restart to begin a new one")
        self.prepare()

    def check_log(self) -> None:
        """Raise StoreError where SQLite's write-ahead log was removed beneath us; where it can be saved, it is."""
        try:
            if self.write_ahead_log:
                self.write_ahead_log.check()
        except StoreError:
            self.engine.dispose()  # an open connection keeps files that no longer have a name
            raise

    def _current_inode(self) -> tuple[int, int] | None:
        if self.path is None:
            return None
        with suppress(FileNotFoundError):
            status = self.path.stat()
            return status.st_dev, status.st_ino
        return None

    def truncate_log(self) -> bool:
        """Empty SQLite's write-ahead log into the database, so that nothing removed stays in it; return True where that
        was done.

        False where somebody reads or writes at this moment; on Postgres, which manages its own log, always True.
        """
        if not self.is_sqlite:
            return True
        try:
            with self.turn(), closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute(f"PRAGMA busy_timeout={_TRUNCATE_MILLISECONDS}")
                busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                connection.cursor().execute(f"PRAGMA busy_timeout={int(self.timeout * 1000)}")
        except (SQLAlchemyError, sqlite3.Error):
            return False
        return not busy

    def clear(self) -> bool:
        """Clear the files of the database of what was removed; return True where that was done.

        On SQLite removed rows are overwritten at once (secure_delete), and the log is emptied; on Postgres the tables
        are vacuumed, and their space is overwritten as it is used again. An index of words keeps each word that it
        ever had: it is made anew beside its use. False, too, where another process does all this at this moment.
        """
        if self.is_sqlite:
            return self.truncate_log()
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _CLEAR_LOCK}).scalar():
                    return False
                try:
                    connection.execute(text("SET statement_timeout = 0"))
                    for statement in _CLEARING:
                        connection.execute(text(statement))
                finally:  # the session is used again
                    connection.execute(text("RESET statement_timeout"))
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _CLEAR_LOCK})
        except SQLAlchemyError:
            return False
        return True

    def turn(self) -> AbstractContextManager[None]:
        """Return a turn at writing, among all processes that write to this database; Postgres needs none."""
        return turn(self.path, self.timeout / 2) if self.path else nullcontext()

    def dispose(self) -> None:
        """Close idle connections."""
        self.engine.dispose()
        if self.write_ahead_log:
            self.write_ahead_log.release()


def schema_version(connection: Connection) -> str | None:
    """Return the schema's version ("0001"); None for a database without one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _upgrade(connection: Connection) -> None:
    from alembic import command  # imported here: without it a process whose schema is up to date starts a tenth sooner
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    record_oldest(connection, ScriptDirectory.from_config(config))


def _read_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # of a port that is no number
        shown = without_passwords(text)
        raise StoreSetupError(f"--database {shown!r}: expected sqlite:///FILE or postgresql://user@host/name") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return url
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise StoreSetupError(f"--database: {backend} cannot be used: expected sqlite:///FILE or postgresql://...")


def _make_engine(url: URL, timeout: float, connections: int) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _make_sqlite(url, timeout)
    kept = connections // 2
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_size=kept,
            max_overflow=connections - kept,
            pool_timeout=timeout,  # a connection that is not available is an outage, not a wait
            connect_args=_postgres_arguments(timeout),
        )
    except ModuleNotFoundError:
        raise StoreSetupError(
            "--database: postgresql needs psycopg: install gatekeeper-mail with its extra, [postgres]"
        ) from None

    @event.listens_for(engine, "connect")
    def keep_prepared(connection: Any, _: Any) -> None:
        connection.prepared_max = _STATEMENTS
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreSetupError(
                f"--database: the encoding of {url.database} is {encoding}: expected UTF8, as by "
                "createdb --encoding=UTF8 --template=template0"
            )

    return engine


def _postgres_arguments(timeout: float) -> dict[str, Any]:
    """Return how a connection to Postgres ends when its other end is gone, on either side.

    A server behind a cut cable says nothing: the kernel has to notice. A node that vanishes in mid-transaction holds
    its locks until the server notices, and mail of the same source waits for them at every node.
    """
    milliseconds, seconds = int(timeout * 1000), max(1, int(timeout))
    of_session = {
        "lock_timeout": milliseconds,
        "statement_timeout": milliseconds * 2,
        "idle_in_transaction_session_timeout": milliseconds * 2,
        "tcp_user_timeout": milliseconds * 2,
        "tcp_keepalives_idle": seconds,
        "tcp_keepalives_interval": max(1, seconds // 3),
        "tcp_keepalives_count": 3,
        "synchronous_commit": "on",
    }
    return {
        "connect_timeout": seconds,
        "application_name": "gatekeeper",
        "client_encoding": "utf8",  # else text of a database in SQL_ASCII comes as octets
        "options": " ".join(f"-c {name}={value}" for name, value in of_session.items()),
        "tcp_user_timeout": milliseconds * 2,
        "keepalives_idle": seconds,
        "keepalives_interval": max(1, seconds // 3),
        "keepalives_count": 3,
    }


def _make_sqlite(url: URL, timeout: float) -> Engine:
    arguments = {"timeout": timeout, "check_same_thread": False, "cached_statements": _STATEMENTS}
    engine = create_engine(url, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver would begin late, and DEFERRED
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-32768",
            "secure_delete=ON",
            f"journal_size_limit={LOG_KEPT}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE, because a transaction that reads first and then writes would fail as soon as another has written in
        # between.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN DEFERRED")

    return engine


def _writes(connection: Connection) -> bool:
    return not connection.get_execution_options().get("readonly", False)
