"""The verbs of people on the ledger, as commands have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar

import click

from gatekeeper.api.timeline import EARLIER
from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_INPUT,
    NO_PERMISSION,
    Day,
    Failure,
    json_option,
    parse_number,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store, ruleset_in_force
from gatekeeper.cli.table import table
from gatekeeper.ledger.service import LedgerError, LedgerService, NotAllowed, NotFound, Terms
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lib.moments import utc_text
from gatekeeper.notices import BUILT_IN, NoticeTemplates, TemplatesError
from gatekeeper.outbox.to_senders import Letterhead
from gatekeeper.policy.active import texts_of
from gatekeeper.policy.agreement import Agreements
from gatekeeper.rules import Ruleset
from gatekeeper.settings import Settings
from gatekeeper.store.views import EventView

F = TypeVar("F", bound=Callable[..., Any])
_LEDGER = ("database", "database_timeout", "public_url", "hostname")
ledger_options = setting_options(*_LEDGER)


@contextmanager
def _failing_well() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise Failure(str(error), NO_INPUT) from None
    except NotAllowed as error:
        raise Failure(str(error), NO_PERMISSION) from None
    except LedgerError as error:
        raise Failure(str(error), DATA_ERROR) from None


@contextmanager
def open_ledger(settings: Settings) -> Iterator[LedgerService]:
    """The verbs on the ledger of these settings."""
    with open_store(settings) as store, _failing_well():
        judging, ruleset = settings.judging, ruleset_in_force(store)
        yield LedgerService(
            store, Letterhead(ruleset, judging.hostname, judging.public_url, _texts(ruleset)), store.now
        )


def _texts(ruleset: Ruleset) -> NoticeTemplates:
    """The organisation's own templates; the built-in ones where those cannot be read: no decision waits for them."""
    try:
        return texts_of(ruleset)
    except TemplatesError as error:
        click.echo(f"gatekeeper: notices are written by the built-in templates: {error}", err=True)
        return BUILT_IN


def _settings_and_own(given: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The settings that a command's flags set, and its own flags: one may have the name of a setting, such as rules."""
    own = {name: value for name, value in given.items() if name not in _LEDGER}
    return settings_of({name: given[name] for name in _LEDGER}), own


def on_the_ledger(show: Callable[[Any, bool], None]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a command of a verb, which is given the ledger and the command's own flags.

    Args: `show` prints what the verb returns; True asks for JSON.
    """

    def decorate(verb: Callable[..., Any]) -> Callable[..., None]:
        @ledger_options
        @json_option
        @wraps(verb)
        def command(as_json: bool, **given: Any) -> None:
            settings, own = _settings_and_own(given)
            with open_ledger(settings) as service:
                show(verb(service, **own), as_json)

        return command

    return decorate


def listing(
    noun: str, states: type[StrEnum], document: Callable[[Any], Any], row: Callable[[Any], Sequence[object]]
) -> Callable[[Callable[..., Sequence[Any]]], Callable[..., None]]:
    """Make a command of a verb that lists things by state.

    Args: `document` makes JSON of one of them, `row` the cells of its line in the table that people read.
    """

    def decorate(verb: Callable[..., Sequence[Any]]) -> Callable[..., None]:
        @wraps(verb)
        def command(state: str | None, as_json: bool, **given: Any) -> None:
            settings, own = _settings_and_own(given)
            with open_ledger(settings) as service:
                found = verb(service, state, **own)
            if as_json:
                print_json([document(one) for one in found])
                return
            for line in table(map(row, found)):
                click.echo(line)
            if not found:
                click.echo(f"no {noun}" + (f" that are {state}" if state else ""))

        choice = click.Choice([each.value for each in states])
        return click.option("--state", type=choice, help="only those in this state")(
            ledger_options(json_option(command))
        )

    return decorate


def id_argument(letter: str) -> Callable[[F], F]:
    """The number of an id such as M-17, as the argument `id`."""
    return click.argument("id", callback=lambda _context, _parameter, text: parse_number(text, letter))


seen_option = click.option("--seen", help="the version that was looked at (`show --json`); what came since is refused")


def terms_options(command: F) -> F:
    """Give a command the flags of what a yes allows."""
    for option in reversed(
        (
            click.option("--max-users", type=click.IntRange(1), help="users that it may reach"),
            click.option("--until", type=Day(), help="its last day; else the second working day after"),
            click.option("--uses", type=click.IntRange(1), help="mailings that may use it; else one"),
            click.option("--binding", type=click.Choice(BINDINGS), help="to this very content, or to its like"),
        )
    ):
        command = option(command)
    return command


def terms_of(given: dict[str, Any]) -> Terms:
    """What a yes allows, of a command's flags."""
    return Terms(*(given.pop(name) for name in ("max_users", "until", "uses", "binding")))


def print_timeline(events: Iterable[EventView]) -> None:
    """What happened, a line each."""
    for event in events:
        words = (utc_text(event.at), event.act, event.by and f"by {event.by}", event.text)
        click.echo(" ".join(filter(None, words)))


def print_agreements(agreements: Agreements, missing: Iterable[str]) -> None:
    """Who has agreed, whose yes was to an earlier state, and who must agree, a line each."""
    for label, people in (
        ("agreed", agreements.people),
        (EARLIER, agreements.earlier),
        ("who must still agree", missing),
    ):
        if names := ", ".join(people):
            click.echo(f"{label}: {names}")
