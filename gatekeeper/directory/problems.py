"""Errors of directory files: collected, so that an admin sees all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 100


class DirectoryError(ValueError):
    """Directory files that cannot be used; `problems` has all of them as `file:line: what was expected`."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        super().__init__("\n".join([*problems[:_SHOWN], *more]))


class MissingFile(DirectoryError):
    """A file that is not there."""
