"""Decorators and options for commands that call LedgerService: approve, deny, list, show and the like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from enum import StrEnum
from functools import partial, wraps
from typing import Any, TypeVar

import click

from gatekeeper.api.timeline import EARLIER
from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_INPUT,
    NO_PERMISSION,
    USAGE,
    Day,
    Failure,
    json_option,
    parse_number,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.table import table
from gatekeeper.ledger.service import LedgerError, LedgerService, ListPage, NotAllowed, NotFound, Sought, Terms
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import local_text
from gatekeeper.notices import say_count
from gatekeeper.policy.agreement import Agreements
from gatekeeper.rules.specs import OTHER_DENIAL
from gatekeeper.service.ledger_in_force import ledger_under, stored_rules
from gatekeeper.settings import Settings
from gatekeeper.store.permits import PermitEffect
from gatekeeper.store.views import EventView

F = TypeVar("F", bound=Callable[..., Any])
_ZONE = "gatekeeper.zone"  # of the context: the time zone of the rules in force
_LEDGER = ("database", "database_timeout", "public_url", "hostname")
ledger_options = setting_options(*_LEDGER)


@contextmanager
def exit_on_ledger_error() -> Iterator[None]:
    """Turn what the ledger refuses into a Failure with an exit code of sysexits.h."""
    try:
        yield
    except LedgerError as error:
        raise _failure(error) from None


def _failure(error: LedgerError) -> Failure:
    codes = ((NotFound, NO_INPUT), (NotAllowed, NO_PERMISSION))
    return Failure(str(error), next((code for kind, code in codes if isinstance(error, kind)), DATA_ERROR))


@contextmanager
def open_ledger(settings: Settings) -> Iterator[LedgerService]:
    """Open the ledger of these settings, under the ruleset in force.

    Raises: Failure with EX_NOINPUT, EX_NOPERM or EX_DATAERR for what LedgerService refuses.
    """
    with open_store(settings) as store, exit_on_ledger_error():
        ledger = ledger_under(stored_rules(store), store, settings, _warn)
        click.get_current_context().meta[_ZONE] = ledger.ruleset.timezone
        yield ledger


def _warn(text: str) -> None:
    click.echo(f"gatekeeper: {text}", err=True)


def _settings_and_own(given: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Split a command's flags into the settings and the command's own flags.

    Only `ledger_options` count as settings: a command's own flag may have a setting's name, as --rule has (`rules`).
    """
    own = {name: value for name, value in given.items() if name not in _LEDGER}
    return settings_of({name: given[name] for name in _LEDGER}), own


def shown_time(seconds: float) -> str:
    """Return a moment as a command shows it to people: in the time zone of the rules."""
    return local_text(seconds, click.get_current_context().meta.get(_ZONE, UTC))


def on_the_ledger(show: Callable[[Any, bool], None]) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Return a decorator that makes a command of a function (ledger, own flags).

    Args: `show` prints the function's result; its second argument asks for JSON.
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


def on_each(
    document: Callable[[Any], Any], show: Callable[[Any], None]
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Return a decorator that makes a command of a function (ledger, id, own flags), which is called for each id.

    One that is refused does not stop the others; the command's exit code is that of the first. With --json one id has
    one document, several have a list.

    Args: `document` makes JSON of what the function returns, `show` prints it.
    """

    def decorate(verb: Callable[..., Any]) -> Callable[..., None]:
        @ledger_options
        @json_option
        @wraps(verb)
        def command(as_json: bool, ids: tuple[int, ...], **given: Any) -> None:
            settings, own = _settings_and_own(given)
            if len(ids) > 1 and own.get("seen"):
                raise Failure("--seen: expected one id, whose version it is", USAGE)
            with open_ledger(settings) as service:
                done, failures = _do_each(partial(verb, service), ids, own)
                if not as_json:
                    for one in done:
                        show(one)
                elif done:
                    print_json(document(done[0]) if len(ids) == 1 else [document(one) for one in done])
            for failure in failures[1:]:
                failure.show()
            if failures:
                raise failures[0]

        return command

    return decorate


def _do_each(verb: Callable[..., Any], ids: tuple[int, ...], own: dict[str, Any]) -> tuple[list[Any], list[Failure]]:
    done, failures = [], []
    for id in dict.fromkeys(ids):
        try:
            done.append(verb(id=id, **own))
        except LedgerError as error:
            failures.append(_failure(error))
    return done, failures


def ids_argument(letter: str) -> Callable[[F], F]:
    """Return a decorator that adds the argument `ids`: the numbers of one or more ids such as M-17."""

    def numbers(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(parse_number(text, letter) for text in texts)

    return click.argument("ids", nargs=-1, required=True, metavar="ID...", callback=numbers)


Columns = Mapping[str, Callable[[Any], object]]  # of a printed table: titles with what makes the cell of one thing
_LISTED = 1_000  # rows of a listing, unless told otherwise


@immutable
class Listing:
    """How things are listed: their name in the plural, their states, JSON of one of them, columns of the table."""

    noun: str
    states: type[StrEnum]
    document: Callable[[Any], Any]
    columns: Columns

    def print(self, found: Sequence[Any], state: str | None, *, as_json: bool) -> None:
        """Print things as a JSON array or a table."""
        if as_json:
            print_json([self.document(one) for one in found])
            return
        for line in table(([cell(one) for cell in self.columns.values()] for one in found), tuple(self.columns)):
            click.echo(line)
        if not found:
            click.echo(f"no {self.noun}" + (f" that are {state}" if state else ""))

    def with_state(self, command: F) -> F:
        """Add the flag --state."""
        choice = click.Choice([each.value for each in self.states])
        return click.option("--state", type=choice, help="only those in this state")(command)


def listing(how: Listing) -> Callable[[Callable[..., Sequence[Any]]], Callable[..., None]]:
    """Return a decorator that makes a command, with --state, of a function (ledger, state) that lists few things."""

    def decorate(verb: Callable[..., Sequence[Any]]) -> Callable[..., None]:
        @wraps(verb)
        def command(state: str | None, as_json: bool, **given: Any) -> None:
            settings, own = _settings_and_own(given)
            with open_ledger(settings) as service:
                found = verb(service, state, **own)
            how.print(found, state, as_json=as_json)

        return how.with_state(ledger_options(json_option(command)))

    return decorate


def filtered_listing(how: Listing) -> Callable[[Callable[..., ListPage[Any]]], Callable[..., None]]:
    """Return a decorator that makes a command, with filters, of a function that lists mailings, requests or permits.

    The function gets the ledger, what is looked for, and by whom ("" for the operator).
    """

    def decorate(verb: Callable[..., ListPage[Any]]) -> Callable[..., None]:
        @wraps(verb)
        def command(state: str | None, by: str | None, as_json: bool, **given: Any) -> None:
            settings, own = _settings_and_own(given)
            if own["mine"] and not by:
                raise Failure("--mine: expected --by too, whose own are listed", USAGE)
            sought = Sought((state,) if state else (), **{name: value for name, value in own.items() if value})
            with open_ledger(settings) as service:
                found = verb(service, sought, by or "")
            how.print(found.rows, state, as_json=as_json)
            if found.next:
                _warn(f"there are more {how.noun}: --after {found.next}")

        return how.with_state(_with_filters(ledger_options(json_option(command))))

    return decorate


def _with_filters(command: F) -> F:
    """Add the flags that say what is looked for in a list, and which part of it."""
    for option in reversed(
        (
            click.option("--agency", default="", help="only those of this agency, by its id"),
            click.option("--sender", default="", help="only those of this mailbox"),
            click.option("--rule", default="", help="only those that this rule holds, or that answer it"),
            click.option("--words", default="", help="only those with these words in subject or sender; or a number"),
            click.option("--since", type=Day(), help="only those that were changed, or given, on this day or later"),
            click.option("--mine", is_flag=True, help="only those that are the own of --by"),
            click.option("--by", help="only what this person may see; default: all"),
            click.option("--limit", type=click.IntRange(1, _LISTED), default=_LISTED, help="at most so many"),
            click.option("--after", default="", help="those after this one, the last of the part before"),
        )
    ):
        command = option(command)
    return command


def id_argument(letter: str) -> Callable[[F], F]:
    """Return a decorator that adds the argument `id`: the number of an id such as M-17, where `letter` is M."""
    return click.argument("id", callback=lambda _context, _parameter, text: parse_number(text, letter))


seen_option = click.option(
    "--seen", help="the version that you looked at (`show --json`); the command is refused if there is a newer one"
)


category_option = click.option(
    "--category",
    default=OTHER_DENIAL,
    show_default=True,
    help="official, audience, content, timing, duplicate, security, personal, other, or a category of rules.yaml",
)


def terms_options(command: F) -> F:
    """Add the flags that set the limits of an approval."""
    for option in reversed(
        (
            click.option("--max-users", type=click.IntRange(1), help="the most users that may be reached"),
            click.option(
                "--until", type=Day(), help="the last day of the approval; default: the second working day after"
            ),
            click.option("--uses", type=click.IntRange(1), help="mailings that may use the approval; default: one"),
            click.option(
                "--binding",
                type=click.Choice(BINDINGS),
                help="bind the approval to this exact content, or to similar content",
            ),
        )
    ):
        command = option(command)
    return command


def terms_of(given: dict[str, Any]) -> Terms:
    """Take the flags of `terms_options` out of `given` and return them as the limits of an approval."""
    return Terms(*(given.pop(name) for name in ("max_users", "until", "uses", "binding")))


def print_timeline(events: Iterable[EventView]) -> None:
    """Print events, one a line: time, act, who acted, text."""
    for event in events:
        words = (shown_time(event.at), event.act, event.by and f"by {event.by}", event.text)
        click.echo(" ".join(filter(None, words)) + _excerpt(event))


def _excerpt(event: EventView) -> str:
    """Return the category of a denial, or that an excerpt of the text was sent, and to whom; "" where there is none."""
    if category := event.details.get("category"):
        return f" ({category})"
    sent = event.details.get("excerpt")
    return f"; {sent['lines']} lines of the text were sent to {', '.join(sent['to'])}" if sent else ""


def print_stopped(stopped: PermitEffect) -> None:
    """Print to how many recipients mail had gone when its permit was taken back, and for how many it was stopped."""
    click.echo(f"sent to {say_count(stopped.sent, 'recipient', 'recipients')}, stopped for {stopped.stopped:,}")


def print_agreements(agreements: Agreements, whose: str) -> None:
    """Print, one a line, who has agreed, who agreed to an earlier state, and who must still agree."""
    for label, names in (
        ("agreed", ", ".join(agreements.people)),
        (EARLIER, ", ".join(agreements.earlier)),
        ("who must still agree", whose),
    ):
        if names:
            click.echo(f"{label}: {names}")
