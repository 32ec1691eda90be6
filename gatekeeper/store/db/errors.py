"""Errors of the database, as its callers see them."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError


class StoreError(Exception):
    """The database cannot do its part now; nothing of the work was stored. The text is for operators."""


class StoreFull(StoreError):
    """The disk of the database is full, or as much is kept as may be."""

    of_origin = False  # True where that is so of one origin alone


class StoreSetupError(StoreError):
    """The database cannot be used as it is; the text says what was expected and what to do."""


_FULL = ("disk is full", "disk full", "no space left", "could not extend file")
_READ_ONLY = "25006"  # our server has become a standby
_CLASHES = {"40001", "40P01"}  # serialization failure, deadlock; a lock that is held for long is an outage


def is_clash(error: BaseException) -> bool:
    """Return True where Postgres gave up one of two transactions that waited for each other: it may succeed when
    run again.
    """
    return _sqlstate(error) in _CLASHES


def has_moved(error: BaseException) -> bool:
    """Return True where the server has become a standby: another connection may find the new primary."""
    return _sqlstate(error) == _READ_ONLY


def _sqlstate(error: BaseException) -> str | None:
    found: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return found


def is_outage(error: BaseException) -> bool:
    """Return True where the database is at fault, not the statement."""
    if has_moved(error):
        return True
    if isinstance(error, (OperationalError, InterfaceError)):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def translate(error: SQLAlchemyError) -> StoreError:
    """Return the error as one line: StoreFull for a full disk, else StoreError."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    kind = StoreFull if any(sign in text.lower() for sign in _FULL) else StoreError
    return kind(f"database: {text[:300]}")
