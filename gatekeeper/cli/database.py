"""The database that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatekeeper.cli.common import CONFIG, NO_INPUT, TEMPORARY, Failure
from gatekeeper.rules import Ruleset, RulesetError, parse_ruleset
from gatekeeper.settings import Settings
from gatekeeper.store import Database, Store, StoreError, StoreSetupError, rulesets


@contextmanager
def failing_well() -> Iterator[None]:
    """Turn what the store raises into a line on standard error and a code of sysexits.h."""
    try:
        yield
    except StoreSetupError as error:
        raise Failure(str(error), CONFIG) from None
    except StoreError as error:
        raise Failure(str(error), TEMPORARY) from None


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The store of these settings, for as long as the command takes."""
    with failing_well():
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


def ruleset_in_force(store: Store) -> Ruleset:
    """The ruleset that the gate on this database goes by (DESIGN 8); ends the command where there is none."""
    stored = store.call(rulesets.in_force)
    if stored is None:
        raise Failure("no ruleset is in force on this database yet: start `gatekeeper serve` once", CONFIG)
    try:
        return parse_ruleset(stored.text, stored.name, Path(stored.name).parent)
    except RulesetError as error:
        raise Failure(f"the ruleset in force cannot be read by this program: {error}", CONFIG) from None
