"""Commands that are imported when they are asked for: a start costs what its own command needs."""

from __future__ import annotations

import gc
from collections import UserDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click


class Deferred(UserDict[str, Any]):
    """What click calls a group's commands: their names are known at once, each is imported at its first use."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Args: `modules` are the modules' full names by the name of the command, which is also what it is in there."""
        super().__init__(modules)

    def __getitem__(self, name: str) -> click.Command:
        """The command; KeyError where there is none of the name."""
        found = self.data[name]
        if isinstance(found, str):
            with _not_collecting():
                found = self.data[name] = getattr(import_module(found), name)
        command: click.Command = found
        return command


@contextmanager
def _not_collecting() -> Iterator[None]:
    """What is imported stays: looking for garbage in it meanwhile takes a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
