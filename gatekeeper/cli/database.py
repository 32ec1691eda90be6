"""The database that a command works on: open it, and end the command well where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gatekeeper.cli.common import CONFIG, NO_INPUT, TEMPORARY, Failure
from gatekeeper.settings import Settings
from gatekeeper.store import Database, Store, StoreError, StoreSetupError


@contextmanager
def exit_on_store_error() -> Iterator[None]:
    """Turn StoreSetupError and StoreError into a Failure: a line on standard error and an exit code of sysexits.h."""
    try:
        yield
    except StoreSetupError as error:
        raise Failure(str(error), CONFIG) from None
    except StoreError as error:
        raise Failure(str(error), TEMPORARY) from None


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Open the store of these settings for reading and writing rows, and close it at the end.

    Raises: Failure where the database is missing, cannot be used, or does not answer.
    """
    with exit_on_store_error():
        database = Database(settings.storing.database, settings.storing.database_timeout)
        if database.path is not None and not database.path.exists():
            raise Failure(
                f"{database.path}: no such database; --database names it, `gatekeeper serve` makes it", NO_INPUT
            )
        store = Store(database)
        store.open(writing=False)
        try:
            yield store
        finally:
            store.close()
