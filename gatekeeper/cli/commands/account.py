"""`gatekeeper account ...`: let people sign in to the web console."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.address import is_valid, normalise
from gatekeeper.cli.common import CONFIG, USAGE, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.ledger.signins import START_PATH, Signins
from gatekeeper.settings import SettingsError

_HOURS = 24.0


@click.group(cls=Verbs)
def account() -> None:
    """Let people sign in to the web console."""


@account.command()
@click.argument("address")
@click.option("--hours", type=click.FloatRange(0.01, 168), default=_HOURS, help="for how long; default: 24")
@setting_options("console", "database", "database_timeout", "public_url")
@json_option
def link(address: str, hours: float, as_json: bool, **given: Any) -> None:
    """Print a link by which somebody signs in once; whoever has the link signs in as them."""
    if not is_valid(address):
        raise Failure(f"{address!r}: expected an address, such as cio@example.gov", USAGE)
    settings = settings_of(given)
    try:
        base = settings.console_url
    except SettingsError as error:
        raise Failure(str(error), CONFIG) from None
    with open_store(settings) as store:
        token = Signins(store, clock=store.now).make_link(address, hours * 3_600)
    found = {"address": normalise(address), "link": f"{base}{START_PATH}{token}", "hours": hours}
    print_json(found) if as_json else click.echo(found["link"])
