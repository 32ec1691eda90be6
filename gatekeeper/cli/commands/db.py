"""`gatekeeper db ...`: bring the database's schema up to date, copy it into another."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.cli.common import NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.database import exit_on_store_error
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.periods import progress
from gatekeeper.cli.table import table
from gatekeeper.store import Database
from gatekeeper.store.db import copy
from gatekeeper.store.db.engine import NEWEST_SCHEMA


@click.group(cls=Verbs)
def db() -> None:
    """Upgrade the database's schema, and copy the database."""


@db.command()
@setting_options("database", "database_timeout")
def upgrade(**given: Any) -> None:
    """Bring the schema up to date; `serve` does it too when it starts."""
    storing = settings_of(given).storing
    with exit_on_store_error():
        database = Database(storing.database, storing.database_timeout)
        database.prepare()
        database.dispose()
    click.echo(f"schema {NEWEST_SCHEMA}")


@db.command("copy")
@click.option("--to", "target", required=True, help="an empty database: postgresql://user@host/name or sqlite:///FILE")
@setting_options("database", "database_timeout")
@json_option
def copy_database(target: str, as_json: bool, **given: Any) -> None:
    """Copy the whole database into an empty one and compare both; all is kept, or nothing. Stop the gate first."""
    storing = settings_of(given).storing
    with exit_on_store_error():
        source = Database(storing.database, storing.database_timeout)
        if source.path is not None and not source.path.exists():
            raise Failure(f"{source.path}: no such database; --database names it", NO_INPUT)
        copied = _copy(source, Database(target, storing.database_timeout))
    if as_json:
        print_json({"rows": copied})
        return
    for line in table(copied.items()):
        click.echo(line)
    click.echo("copied and compared: the gate may start with --database set to the copy, and never again on this one")


def _copy(source: Database, target: Database) -> dict[str, int]:
    try:
        rows = copy.count_rows(source)
        with progress(2 * rows, "copying") as advance:
            return copy.copy(source, target, advance)
    finally:
        source.dispose()
        target.dispose()
