"""What commands share: options, how they print and how they fail. It imports no more than every command needs."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from gatekeeper.settings import BY_NAME, SETTINGS, Settings, SettingsError, read_settings

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
