"""`gatekeeper db upgrade`: bring the database's schema up to date."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.cli.common import failing_well, setting_options, settings_of
from gatekeeper.store import Database
from gatekeeper.store.engine import NEWEST_SCHEMA


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@setting_options("database", "database_timeout")
def upgrade(**given: Any) -> None:
    """Bring the schema up to date; `serve` does it too when it starts."""
    storing = settings_of(given).storing
    with failing_well():
        database = Database(storing.database, storing.database_timeout)
        database.prepare()
        database.dispose()
    click.echo(f"schema {NEWEST_SCHEMA}")
