"""Read a directory, or a list of addresses, from a database: the rows of one query, which may only read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from gatekeeper.directory.loaders.server_cache import ServerAnswer, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.lib.url_passwords import without_passwords

_SECONDS = 10


def ask_sql(url: str, query: str, password: str, folder: Path) -> ServerAnswer:
    """Return the rows of the query, by column names in lower case. The database is opened for reading only.

    Args: a path in an sqlite URL is relative to `folder`.
    Raises SourceDown where the database cannot be asked, DirectoryError where `url` is no URL of a database.
    """
    try:
        parsed = _with_driver(make_url(url), password, folder)
        engine = create_engine(parsed, poolclass=NullPool, connect_args=_arguments(parsed))
    except (ArgumentError, ImportError, ValueError):
        raise DirectoryError(
            [f"{without_passwords(url)}: expected sqlite:///FILE or postgresql://user@host/name"]
        ) from None
    try:
        with engine.connect() as connection:
            if parsed.get_backend_name() == "postgresql":
                connection.execute(text("SET TRANSACTION READ ONLY"))
            result = connection.execute(text(query))
            names = [name.lower() for name in result.keys()]  # noqa: SIM118 - a result is no mapping
            return ServerAnswer([dict(zip(names, map(_text, row), strict=True)) for row in result])
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise SourceDown(str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__) from None
    finally:
        engine.dispose()


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _with_driver(url: URL, password: str, folder: Path) -> URL:
    if password:
        url = url.set(password=password)
    match url.get_backend_name():
        case "postgresql":
            return url.set(drivername="postgresql+psycopg")
        case "sqlite":
            path = folder / (url.database or "")
            return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
        case other:
            raise ValueError(other)


def _arguments(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": _SECONDS}
    return {"connect_timeout": _SECONDS, "options": f"-c statement_timeout={_SECONDS * 1000}"}
