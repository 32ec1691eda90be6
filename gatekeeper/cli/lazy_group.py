"""Groups of commands, whose commands are imported at their first use: each starts without the imports of the others."""

from __future__ import annotations

import gc
from collections import UserDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

_WHOLE = 1_000  # characters: no first sentence is longer


class LazyCommands(UserDict[str, Any]):
    """The `commands` mapping of a click group: names are known at once, each command is imported at its first use."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Args: `modules` gives a command's name the full name of the module that has the command under that name."""
        super().__init__(modules)

    def __getitem__(self, name: str) -> click.Command:
        """Return the command, imported if need be.

        Raises: KeyError where there is no command of that name.
        """
        found = self.data[name]
        if isinstance(found, str):
            with _garbage_collection_off():
                found = self.data[name] = getattr(import_module(found), name)
        command: click.Command = found
        return command


class Verbs(click.Group):
    """A group of commands whose help has the first sentence of each, however long."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with the first sentence of its help."""
        names = self.list_commands(ctx)
        rows = [(name, self.commands[name].get_short_help_str(_WHOLE)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Keep the garbage collector off during an import: modules stay, and collecting takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
