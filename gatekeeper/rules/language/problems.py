"""The problems of a rules file, each with its place, and the error that has all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """An error, warning or note at a place in the file; lines and columns count from 1."""

    line: int
    column: int
    text: str
    file: str = ""
    warning: bool = False
    note: bool = False  # a note, true of any such file: nothing in the file could be corrected

    @property
    def severity(self) -> str:
        """Return `error`, `warning` or `note`."""
        return "note" if self.note else "warning" if self.warning else "error"

    def __str__(self) -> str:
        severity = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.file}:{self.line}:{self.column}: {severity}{self.text}"


class RulesetError(ValueError):
    """Rules that cannot be used; `problems` says where, and what was expected, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
