"""Options, output, exit codes and errors that commands share. This file imports only what every command needs."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.settings import BY_NAME, SETTINGS, Settings, SettingsError, read_settings
from gatekeeper.settings.readers import read_flag

F = TypeVar("F", bound=Callable[..., Any])
USAGE, DATA_ERROR, NO_INPUT, UNAVAILABLE, SOFTWARE, CANNOT_CREATE, TEMPORARY, NO_PERMISSION, CONFIG = (
    64, 65, 66, 69, 70, 73, 75, 77, 78,
)  # fmt: skip  # sysexits.h
_MOST_DIGITS = 9  # of an id: databases keep numbers of 31 bits


class Failure(click.ClickException):
    """An error that ends a command with a text on standard error and an exit code of sysexits.h."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The exit code that click ends the process with."""
        return self.code

    def show(self, file: Any = None) -> None:
        """Print the text on standard error, without the usage lines that click adds."""
        click.echo(f"gatekeeper: {without_passwords(self.message)}", err=True, file=file)


def setting_options(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds the flags of these settings to a command.

    Args: `names` are of settings; without any, all settings get a flag.
    """
    chosen = [BY_NAME[name] for name in names] if names else list(SETTINGS)

    def decorate(command: F) -> F:
        for setting in reversed(chosen):
            shown = f"{setting.help}  [default: {setting.default or 'none'}]"
            bare = "yes" if setting.read is read_flag else None  # what a flag without a value stands for
            command = click.option(
                f"--{setting.flag}", setting.name, default=None, help=shown, is_flag=False, flag_value=bare
            )(command)
        return command

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON document")


by_option = click.option(
    "--by",
    required=True,
    envvar="GATEKEEPER_BY",
    help="who acts: an address under people in rules.yaml; GATEKEEPER_BY where left out",
)


class Day(click.ParamType[Any]):
    """The click type of a day, such as 2026-12-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the value as a date; a usage error where the value is no day."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: expected a day, such as 2026-12-31", param, ctx)


def settings_of(given: dict[str, Any]) -> Settings:
    """Return the settings in force, with the values that a command's flags give.

    Args: `given` are the values of all flags of the command by name; those that are no settings are left out.
    Raises: Failure with EX_CONFIG where a setting cannot be used.
    """
    try:
        return read_settings({name: given.get(name) for name in BY_NAME})
    except SettingsError as error:
        raise Failure(str(error), CONFIG) from None


def print_json(document: Any) -> None:
    """Print one JSON document, with escapes for what is not seen."""
    click.echo(json_text(document, indent=2))


def json_text(document: Any, indent: int | None = None) -> str:
    """Return one JSON document, with escapes for what is not seen."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=str)
    return "".join(each if _is_shown(each) or each == "\n" else json.dumps(each)[1:-1] for each in text)


def _is_shown(character: str) -> bool:
    """Return False for what controls a terminal, turns a text around, hides or tags it."""
    return character.isprintable() and not "\U000e0000" <= character <= "\U000e0fff"


def login_name() -> str:
    """Return the operating system's user name, recorded beside the person that `--by` names; "" where unknown."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def parse_number(text: str, letter: str) -> int:
    """Return the 17 of M-17 (or m-17, or 17).

    Args: `letter` is M, R, P, S or RP.
    Raises: Failure with EX_USAGE where the text is no such id.
    """
    digits = text.upper().removeprefix(f"{letter}-")
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS:
        raise Failure(f"{text}: expected an id such as {letter}-17", USAGE)
    return int(digits)
