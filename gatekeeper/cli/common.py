"""What commands share: their options, the ledger they work on, how they print and how they fail."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gatekeeper.casework import Casework, CaseworkError, NotAllowed, NotFound, Terms
from gatekeeper.casework.terms import BINDINGS
from gatekeeper.in_force import InForceError, texts_of
from gatekeeper.notify import BUILT_IN, Texts, TextsError
from gatekeeper.rules import Ruleset, RulesetError, parse_ruleset
from gatekeeper.settings import BY_NAME, SETTINGS, Settings, SettingsError, read_settings
from gatekeeper.store import Database, Store, StoreError, StoreSetupError, ledger
from gatekeeper.store.views import EventView
from gatekeeper.telling import Voice

F = TypeVar("F", bound=Callable[..., Any])
USAGE, DATA_ERROR, NO_INPUT, UNAVAILABLE, SOFTWARE, CANNOT_CREATE, TEMPORARY, NO_PERMISSION, CONFIG = (
    64, 65, 66, 69, 70, 73, 75, 77, 78,
)  # fmt: skip  # sysexits.h


class Failure(click.ClickException):
    """Ends a command with a text on standard error and a code of sysexits.h."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What click ends the process with."""
        return self.code

    def show(self, file: Any = None) -> None:
        """Print the text as it is: it says all that there is to say."""
        click.echo(f"gatekeeper: {self.message}", err=True, file=file)


def setting_options(*names: str) -> Callable[[F], F]:
    """Give a command the flags of the settings named; all of them where none is."""
    chosen = [BY_NAME[name] for name in names] if names else list(SETTINGS)

    def decorate(command: F) -> F:
        for setting in reversed(chosen):
            shown = f"{setting.help}  [default: {setting.default or 'none'}]"
            command = click.option(f"--{setting.flag}", setting.name, default=None, help=shown)(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON document")


by_option = click.option("--by", required=True, help="who acts: an address under people in rules.yaml")
ledger_options = setting_options("database", "database_timeout", "public_url", "hostname")


class Day(click.ParamType[Any]):
    """A day, such as 2026-12-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Make a date; ends the command for what is none."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: expected a day, such as 2026-12-31", param, ctx)


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


def when(seconds: float | None) -> str | None:
    """A time as documents and lines show it: UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timeline_document(events: Iterable[EventView]) -> list[dict[str, Any]]:
    """What happened, in JSON."""
    return [
        {"at": when(event.at), "act": event.act, "by": event.by, "login": event.login, "text": event.text}
        for event in events
    ]


def print_timeline(events: Iterable[EventView]) -> None:
    """What happened, a line each."""
    for event in events:
        words = (when(event.at), event.act, event.by and f"by {event.by}", event.text)
        click.echo(" ".join(filter(None, words)))


def settings_of(given: dict[str, Any]) -> Settings:
    """The settings in force, given a command's own flags among others; ends the command where they cannot be used."""
    try:
        return read_settings({name: given.get(name) for name in BY_NAME})
    except SettingsError as error:
        raise Failure(str(error), CONFIG) from None


def print_json(document: Any) -> None:
    """Print one document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def login_name() -> str:
    """Of the operating system: whoever `--by` says they are."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def parse_number(text: str, letter: str) -> int:
    """The 17 of M-17 (or m-17, or 17); ends the command for anything else."""
    digits = text.upper().removeprefix(f"{letter}-")
    if not digits.isdigit():
        raise Failure(f"{text}: expected an id such as {letter}-17", USAGE)
    return int(digits)


@contextmanager
def failing_well() -> Iterator[None]:
    """Turn what the rooms raise into a line on standard error and a code of sysexits.h."""
    try:
        yield
    except NotFound as error:
        raise Failure(str(error), NO_INPUT) from None
    except NotAllowed as error:
        raise Failure(str(error), NO_PERMISSION) from None
    except CaseworkError as error:
        raise Failure(str(error), DATA_ERROR) from None
    except (StoreSetupError, InForceError) as error:
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
    stored = store.call(ledger.in_force)
    if stored is None:
        raise Failure("no ruleset is in force on this database yet: start `gatekeeper serve` once", CONFIG)
    try:
        return parse_ruleset(stored.text, stored.name, Path(stored.name).parent)
    except RulesetError as error:
        raise Failure(f"the ruleset in force cannot be read by this program: {error}", CONFIG) from None


@contextmanager
def open_casework(settings: Settings) -> Iterator[Casework]:
    """The verbs on the ledger of these settings."""
    with open_store(settings) as store:
        judging, ruleset = settings.judging, ruleset_in_force(store)
        yield Casework(store, Voice(ruleset, judging.hostname, judging.public_url, _texts(ruleset)), store.now)


def _texts(ruleset: Ruleset) -> Texts:
    """The organisation's own templates; the built-in ones where those cannot be read: no decision waits for them."""
    try:
        return texts_of(ruleset)
    except TextsError as error:
        click.echo(f"gatekeeper: notices are written by the built-in templates: {error}", err=True)
        return BUILT_IN
