"""`gatekeeper account ...`: let people sign in to the web console."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from gatekeeper.address import is_valid, normalise
from gatekeeper.cli.common import (
    CONFIG,
    DATA_ERROR,
    NO_INPUT,
    USAGE,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.table import table
from gatekeeper.ledger import accounts
from gatekeeper.ledger.context import LedgerError, NotFound
from gatekeeper.ledger.signins import ENROL, PATHS, START, Signins, may_sign_in
from gatekeeper.lib.moments import utc_text
from gatekeeper.service.ledger_in_force import NotInForce, rules_in_force
from gatekeeper.settings import Settings, SettingsError
from gatekeeper.store import Store

_HOURS = 24.0
_SETTINGS = setting_options("console", "database", "database_timeout", "public_url")


@click.group(cls=Verbs)
def account() -> None:
    """Let people sign in to the web console."""


@account.command()
@click.argument("address")
@_SETTINGS
@json_option
def add(address: str, as_json: bool, **given: Any) -> None:
    """Make an account, and print a link by which its owner sets it up, within a day and once."""
    _invite(address, as_json, given, accounts.add_account)


@account.command()
@click.argument("address")
@_SETTINGS
@json_option
def reset(address: str, as_json: bool, **given: Any) -> None:
    """Take away all by which somebody signs in, end their sessions, and print a link as `add` does."""
    _invite(address, as_json, given, accounts.reset_account)


@account.command()
@click.argument("address")
@setting_options("database", "database_timeout")
@json_option
def disable(address: str, as_json: bool, **given: Any) -> None:
    """Keep somebody from signing in by any method, and end their sessions; `reset` lets them in again."""
    whose = _address(address)
    with open_store(settings_of(given)) as store:
        accounts.disable_account(Signins(store, clock=store.now), whose)
    found = {"address": whose, "state": "disabled"}
    print_json(found) if as_json else click.echo(f"{whose} is disabled")


@account.command(name="list")
@setting_options("database", "database_timeout")
@json_option
def list_(as_json: bool, **given: Any) -> None:
    """List accounts: whether they were set up, and with what."""
    with open_store(settings_of(given)) as store:
        found = accounts.list_accounts(Signins(store, clock=store.now))
    if as_json:
        print_json([_document(one) for one in found])
        return
    rows = [(one.address, one.state, _means(one), utc_text(one.made_at)) for one in found]
    for line in table(rows, ("ADDRESS", "STATE", "SIGNS IN BY", "MADE")):
        click.echo(line)


@account.command()
@click.argument("address")
@click.option("--hours", type=click.FloatRange(0.01, 168), default=_HOURS, help="for how long; default: 24")
@_SETTINGS
@json_option
def link(address: str, hours: float, as_json: bool, **given: Any) -> None:
    """Print a link by which somebody signs in once; whoever has the link signs in as them."""
    whose, settings = _address(address), settings_of(given)
    base = _base(settings)
    with open_store(settings) as store:
        token = accounts.make_link(Signins(store, clock=store.now), whose, hours * 3_600)
    found = {"address": whose, "link": f"{base}{PATHS[START]}{token}", "hours": hours}
    print_json(found) if as_json else click.echo(found["link"])


def _invite(address: str, as_json: bool, given: dict[str, Any], change: Callable[[Signins, str], str]) -> None:
    whose, settings = _address(address), settings_of(given)
    base = _base(settings)
    with open_store(settings) as store:
        _warn_of_stranger(store, whose)
        try:
            token = change(Signins(store, clock=store.now), whose)
        except NotFound as error:
            raise Failure(str(error), NO_INPUT) from None
        except LedgerError as error:
            raise Failure(str(error), DATA_ERROR) from None
    found = {"address": whose, "link": f"{base}{PATHS[ENROL]}{token}", "hours": accounts.ENROL_SECONDS / 3_600}
    print_json(found) if as_json else click.echo(found["link"])


def _warn_of_stranger(store: Store, address: str) -> None:
    """Say that somebody cannot sign in yet whom the rules in force do not know; they may be about to."""
    with suppress(NotInForce):
        if not may_sign_in(rules_in_force(store), address):
            click.echo(f"gatekeeper: {address} is neither inside nor in rules.yaml: nobody signs in so", err=True)


def _address(text: str) -> str:
    if not is_valid(text):
        raise Failure(f"{text!r}: expected an address, such as cio@example.gov", USAGE)
    return normalise(text)


def _base(settings: Settings) -> str:
    """Return the address that links begin with: where browsers find the console."""
    try:
        return settings.judging.public_url.rstrip("/") or settings.console_url
    except SettingsError as error:
        raise Failure(str(error), CONFIG) from None


def _means(one: accounts.AccountView) -> str:
    keys = f"{one.passkeys} passkey{'s' if one.passkeys > 1 else ''}" if one.passkeys else ""
    word = f"password, {one.codes} recovery codes" if one.has_password else ""
    return ", ".join(filter(None, (keys, word)))


def _document(one: accounts.AccountView) -> dict[str, Any]:
    return {
        "address": one.address,
        "state": one.state,
        "password": one.has_password,
        "passkeys": one.passkeys,
        "codes": one.codes,
        "made": utc_text(one.made_at),
    }
