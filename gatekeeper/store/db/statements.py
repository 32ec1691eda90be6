"""Statements for the path of every message: built and compiled once, then handed to the driver as they are.

SQLAlchemy makes the SQL and knows the types; what it repeats at each execution (a cache key, a context, a result) costs
several times what the database does for one row. All code that is not on the message path uses SQLAlchemy as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, repeat
from typing import Any

from sqlalchemy import JSON, Boolean, ColumnElement, Connection, Insert, LargeBinary, Select, Update, bindparam, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from gatekeeper.lib.immutable import immutable

Built = Insert | Select[Any] | Update
Row = dict[str, Any]
_Convert = Callable[[Any], Any]


@immutable
class _Compiled:
    """A statement for one dialect: its text, and how values are converted on the way in and out."""

    sql: str
    fixed: Mapping[str, Any]  # values that stand in the statement itself
    order: tuple[str, ...] | None  # of the parameters; None where they go by name
    inward: Mapping[str, _Convert]
    columns: tuple[tuple[str, _Convert | None], ...]
    names: tuple[str, ...]  # in whose order values may be given
    inward_at: tuple[tuple[int, _Convert], ...] | None  # by place among these; None where parameters have another order

    def bind_in_order(self, values: list[Any]) -> Any:
        """Return the parameters from one value for each of the names, without looking at each of them."""
        if self.inward_at is None:
            return self.bind(dict(zip(self.names, values, strict=True)))
        for place, convert in self.inward_at:
            values[place] = convert(values[place])
        return values

    def of_rows(self, number: int) -> _Compiled:
        """Return this INSERT of one row for `number` rows, with values given in order: SQLAlchemy takes 3 ms for
        sixteen.
        """
        width, inward_at = len(self.names), self.inward_at or ()
        row = f"({', '.join('?' * width)})"
        head, found, tail = self.sql.partition(row)
        assert found, "not an INSERT of one row with a value for each column"
        at = tuple((width * each + place, convert) for each in range(number) for place, convert in inward_at)
        return replace(self, sql=head + ", ".join([row] * number) + tail, inward_at=at)

    def bind(self, values: Mapping[str, Any]) -> Any:
        named = {**self.fixed, **values}
        for name, convert in self.inward.items():
            named[name] = convert(named[name])
        return named if self.order is None else [named[name] for name in self.order]

    def row(self, values: Sequence[Any]) -> Row:
        return {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(self.columns, values, strict=True)
        }


class Statement:
    """One statement, with a name for each value that changes (`bindparam`, or the columns of an insert)."""

    def __init__(
        self, build: Callable[[Connection], Built], columns: Iterable[str] | None = None, names: Sequence[str] = ()
    ) -> None:
        """Args: `build` makes it for a connection's dialect; `columns` are those that an insert fills.

        `names` are those of all values, in the order in which `rows_in_order` is given them.
        """
        self._build = build
        self._columns = list(columns) if columns is not None else None
        self._names = tuple(names)
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """Execute, and return the rows that it selects or returns; raise DBAPIError as SQLAlchemy does."""
        compiled = self._for(connection)
        cursor = _execute(connection, compiled.sql, compiled.bind(values))
        return [compiled.row(found) for found in cursor.fetchall()] if compiled.columns else []

    def rows_in_order(self, connection: Connection, values: list[Any]) -> list[Row]:
        """Do as `rows`, with the values in order."""
        compiled = self._for(connection)
        cursor = _execute(connection, compiled.sql, compiled.bind_in_order(values))
        return [compiled.row(found) for found in cursor.fetchall()]

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute, and return the number of affected rows."""
        compiled = self._for(connection)
        return int(_execute(connection, compiled.sql, compiled.bind(values)).rowcount)

    def run_many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute once for each of the rows."""
        compiled = self._for(connection)
        _execute_many(connection, compiled.sql, [compiled.bind(values) for values in rows])

    def _for(self, connection: Connection) -> _Compiled:
        name = connection.dialect.name
        if name not in self._compiled:
            self._compiled[name] = _compile(self._build(connection), connection.dialect, self._columns, self._names)
        return self._compiled[name]


class BulkInsert:
    """An INSERT of many rows in few statements.

    SQLite's driver lets other threads run at each row that it is given by itself, and then waits for its own turn.
    """

    def __init__(self, build: Callable[[Connection], Insert], columns: Sequence[str]) -> None:
        """Args: `build` makes it for a connection's dialect; `columns` are those of the rows, in order."""
        self._build = build
        self._columns = tuple(columns)
        self._compiled: dict[tuple[str, int], _Compiled] = {}  # by dialect and number of rows

    def run(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows; raise DBAPIError."""
        start = 0
        while left := len(rows) - start:
            size = left if left <= _FEW else min(1 << (left.bit_length() - 1), _MANY)
            values = list(chain.from_iterable(rows[start : start + size]))
            compiled = self._sized(connection, size)
            _execute(connection, compiled.sql, compiled.bind_in_order(values))
            start += size

    def _sized(self, connection: Connection, size: int) -> _Compiled:
        made = connection.dialect.name, size
        if made not in self._compiled:
            self._compiled[made] = self._compile(connection, size)
        return self._compiled[made]

    def _compile(self, connection: Connection, size: int) -> _Compiled:
        if size > 1 and (one := self._sized(connection, 1)).inward_at is not None:
            return one.of_rows(size)
        names = _numbered(self._columns, size)
        return _compile(self._of_rows(connection, size), connection.dialect, None, tuple(names))

    def _of_rows(self, connection: Connection, size: int) -> Insert:
        built = self._build(connection)
        kinds = {name: built.table.c[name].type for name in self._columns}
        rows = ({name: bindparam(f"{name}_{row}", type_=kind) for name, kind in kinds.items()} for row in range(size))
        return built.values(list(rows))


_FEW = 32  # rows; up to these there is a statement for each number, above for each power of two
_MANY = 128  # rows of the largest


@cache
def _numbered(columns: tuple[str, ...], size: int) -> Sequence[str]:
    return [f"{name}_{row}" for row in range(size) for name in columns]


class SelectAmong:
    """A SELECT of rows that have one of some values in a column, however many values there are."""

    def __init__(self, column: ColumnElement[Any], build: Callable[[ColumnElement[bool]], Select[Any]]) -> None:
        """Args: `build` makes the SELECT from the condition that the column has one of the values."""
        self._column = column
        self._build = build
        self._by_size: dict[int, Statement] = {}

    def rows(self, connection: Connection, among: Sequence[Any]) -> list[Row]:
        """Execute for at least one value; raise DBAPIError."""
        rows: list[Row] = []
        for start in range(0, len(among), _LARGEST):
            chunk = among[start : start + _LARGEST]
            size = 1 << (len(chunk) - 1).bit_length()  # of few sizes each is compiled once; the last value fills up
            filled = [*chunk, *repeat(chunk[-1], size - len(chunk))]
            rows += self._sized(size).rows_in_order(connection, filled)
        return rows

    def _sized(self, size: int) -> Statement:
        if size not in self._by_size:
            names = _numbered(("among",), size)
            query = self._build(self._column.in_([bindparam(name, type_=self._column.type) for name in names]))
            self._by_size[size] = Statement(lambda _: query, names=names)
        return self._by_size[size]


_LARGEST = 512  # values in one statement


def _compile(statement: Built, dialect: Dialect, columns: list[str] | None, names: tuple[str, ...]) -> _Compiled:
    made: Any = statement.compile(dialect=dialect, column_keys=columns)
    inward = {
        name: convert for bind, name in made.bind_names.items() if (convert := _inward(bind.type, dialect)) is not None
    }
    shown = () if isinstance(statement, Update) else statement.exported_columns
    outward = tuple((str(each.key), _outward(each.type, dialect)) for each in shown)
    order = tuple(made.positiontup) if made.positional else None
    fixed = {name: bind.effective_value for bind, name in made.bind_names.items() if not bind.required}
    straight = order == names and not fixed
    inward_at = tuple((names.index(name), convert) for name, convert in inward.items()) if straight else None
    return _Compiled(made.string, fixed, order, inward, outward, names, inward_at)


def _inward(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    """Return the conversion for values that drivers do not take as they are; octets and booleans they do."""
    convert = kind.dialect_impl(dialect).bind_processor(dialect)
    if convert is None or not isinstance(kind, JSON):
        return None
    empty: dict[type, Any] = {
        dict: convert({}),
        list: convert([]),
    }  # most are, and making JSON of them is most of their cost

    def quick(value: Any) -> Any:
        return empty[type(value)] if not value and type(value) in empty else convert(value)

    return quick


def _outward(kind: TypeEngine[Any], dialect: Dialect) -> _Convert | None:
    """Return the conversion for values that drivers do not return as we need them; numbers and texts they do."""
    if not isinstance(kind, JSON | Boolean | LargeBinary):
        return None
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def upsert(connection: Connection, table: Any) -> Any:
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    kind: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    return kind.insert(table)


def one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return `column IN (values)` in a form that needs no values at execution."""
    return column.in_([literal(value) for value in sorted(values)])


def driver_rows(connection: Connection, sql: str, values: Sequence[Any]) -> list[Sequence[Any]]:
    """Execute SQL of the driver's own kind, and return the rows; raise DBAPIError."""
    rows: list[Sequence[Any]] = _execute(connection, sql, values).fetchall()
    return rows


def noted(connection: Connection) -> list[Any]:
    """Return what a transaction has noted to be written at its end; the list may be changed."""
    found: list[Any] = connection.info.setdefault("noted", [])
    return found


def savepoint(connection: Connection, words: str) -> None:
    """Execute SAVEPOINT, RELEASE or ROLLBACK TO; raise DBAPIError."""
    _execute(connection, words, ())


def _execute(connection: Connection, sql: str, values: Any) -> Any:
    driver: Any = connection.connection.driver_connection
    try:
        return driver.execute(sql, values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _wrapped(connection, sql, error) from error


def _execute_many(connection: Connection, sql: str, rows: Sequence[Any]) -> None:
    cursor: Any = connection.connection.cursor()
    try:
        cursor.executemany(sql, rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _wrapped(connection, sql, error) from error
    finally:
        cursor.close()


def _wrapped(connection: Connection, sql: str, error: Exception) -> Exception:
    """Return the error as SQLAlchemy would raise it, so that callers know one kind; a lost connection is given up."""
    lost = connection.dialect.is_disconnect(error, connection.connection, None)  # type: ignore[arg-type]
    wrapped = DBAPIError.instance(
        sql, None, error, connection.dialect.loaded_dbapi.Error, connection_invalidated=lost, dialect=connection.dialect
    )
    if lost:
        connection.invalidate(error)
    return wrapped
