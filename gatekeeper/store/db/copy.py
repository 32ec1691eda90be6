"""Copy a whole database into another: in one transaction, compared row by row before it is committed.

The source is locked against writers meanwhile, so that the copy is what it holds at the end as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, Connection, Table, func, insert, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.store.db.engine import NEWEST_SCHEMA, Database, schema_version
from gatekeeper.store.db.errors import StoreSetupError, translate
from gatekeeper.store.db.schema import metadata, secrets
from gatekeeper.store.removal import clear_new

_COPIED = [table for table in metadata.sorted_tables if not table.info.get("is_made")]
_ROWS = 100  # at a time; a row may be a chunk of a message
_LONG = ("statement_timeout", "idle_in_transaction_session_timeout")
OnRows = Callable[[int], None]


def count_rows(source: Database) -> int:
    """Return the number of rows to copy; raise StoreError or StoreSetupError."""
    if source.write_ahead_log:
        source.write_ahead_log.check_beside()
    try:
        with source.engine.connect() as connection:
            _check_source(connection)
            return sum(_count(connection, table) for table in _COPIED)
    except SQLAlchemyError as error:
        raise translate(error) from error


def copy(source: Database, target: Database, on_rows: OnRows = lambda rows: None) -> dict[str, int]:
    """Copy all rows into an empty database, and compare; return their number by table.

    Args: `on_rows` is called with the number of rows copied, and again as they are compared. Raises StoreError, or
    StoreSetupError where the target is not empty; the target is then as it was.
    """
    target.prepare()
    try:
        with source.engine.connect() as reading, target.engine.connect() as writing, reading.begin(), writing.begin():
            _check_source(reading)
            _lock(reading)
            _check_empty(writing)
            clear_new(writing, list(reversed(_COPIED)))
            for table in _COPIED:
                _copy_table(reading, writing, table, on_rows)
            for table in _COPIED:
                _copy_references(reading, writing, table)
                _copy_sequence(reading, writing, table)
            return {table.name: _compare(reading, writing, table, on_rows) for table in _COPIED}
    except SQLAlchemyError as error:
        raise translate(error) from error


def _check_source(connection: Connection) -> None:
    version = schema_version(connection)
    if version != NEWEST_SCHEMA:
        found = f"its schema is {version}" if version else "it is empty"
        raise StoreSetupError(f"the database to copy: {found}, expected {NEWEST_SCHEMA}: run `gatekeeper db upgrade`")


def _check_empty(connection: Connection) -> None:
    """Raise StoreSetupError unless the target is empty: every gate that opens a database first gives it a secret."""
    if _count(connection, secrets):
        raise StoreSetupError("the database to copy to is in use: expected an empty one")


def _lock(connection: Connection) -> None:
    """Lock all tables on Postgres; SQLite has begun with a lock on the whole database."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in _COPIED)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _rows(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    if connection.dialect.name == "postgresql":
        for setting in _LONG:
            connection.execute(text(f"SET LOCAL {setting} = 0"))
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_ROWS)
    for part in connection.execute(query).mappings().partitions():
        yield [dict(row) for row in part]


# -- rows --------------------------------------------------------------------------------------------------------


def _copy_table(reading: Connection, writing: Connection, table: Table, on_rows: OnRows) -> None:
    later = {column.name: None for column in _pointing_onward(table)}
    for rows in _rows(reading, table):
        writing.execute(insert(table), [row | later for row in rows])
        on_rows(len(rows))


def _pointing_onward(table: Table) -> list[Column[Any]]:
    """Return columns that may name rows that are copied later: of the table itself, or of one after it."""
    order = [each.name for each in _COPIED]
    place = order.index(table.name)
    return [
        column
        for column in table.columns
        if any(order.index(key.column.table.name) >= place for key in column.foreign_keys)
    ]


def _copy_references(reading: Connection, writing: Connection, table: Table) -> None:
    columns, keys = _pointing_onward(table), list(table.primary_key.columns)
    if not columns:
        return
    for rows in _rows(reading, table):
        for row in rows:
            values = {column.name: row[column.name] for column in columns if row[column.name] is not None}
            if values:
                mine = [key == row[key.name] for key in keys]
                writing.execute(update(table).where(*mine).values(**values))


# -- sequences of ids --------------------------------------------------------------------------------------------


def _copy_sequence(reading: Connection, writing: Connection, table: Table) -> None:
    """Copy the highest id: jobs are named after ids, so none is ever given twice, not even that of a removed row."""
    key = table.autoincrement_column
    if key is None or (last := _last_id(reading, table, key)) == 0:
        return
    if writing.dialect.name == "postgresql":
        sequence = text("SELECT setval(pg_get_serial_sequence(:name, :key), :last)")
        writing.execute(sequence, {"name": table.name, "key": key.name, "last": last})
    elif _is_counted(writing, table):
        writing.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        row = {"name": table.name, "last": last}
        writing.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), row)


def _last_id(connection: Connection, table: Table, key: Column[Any]) -> int:
    highest = int(connection.execute(select(func.max(key))).scalar() or 0)
    if connection.dialect.name == "postgresql":
        name = {"name": table.name, "key": key.name}
        found = connection.execute(text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, :key))"), name)
    elif _is_counted(connection, table):
        found = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    else:
        return highest
    return max(highest, int(found.scalar() or 0))


def _is_counted(connection: Connection, table: Table) -> bool:
    """Return True where SQLite keeps the highest id of the table (AUTOINCREMENT)."""
    return bool(table.dialect_options["sqlite"]["autoincrement"]) and inspect(connection).has_table("sqlite_sequence")


# -- comparing ---------------------------------------------------------------------------------------------------


def _compare(reading: Connection, writing: Connection, table: Table, on_rows: OnRows) -> int:
    here, there = _digest(reading, table, on_rows), _digest(writing, table, lambda rows: None)
    if here != there:
        raise StoreSetupError(f"{table.name}: the copy differs ({here[0]} rows, {there[0]} copied): nothing was kept")
    return here[0]


def _digest(connection: Connection, table: Table, on_rows: OnRows) -> tuple[int, int]:
    """Return the number of rows and a sum over all of them, which does not depend on how a database sorts text."""
    number = total = 0
    for rows in _rows(connection, table):
        number += len(rows)
        total += sum(int.from_bytes(sha256(_plain(row)).digest()) for row in rows)
        on_rows(len(rows))
    return number, total


def _plain(row: dict[str, Any]) -> bytes:
    return json.dumps(row, sort_keys=True, default=lambda octets: bytes(octets).hex()).encode()
