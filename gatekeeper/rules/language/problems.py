"""What is wrong with a rules file: each problem with its place, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend (as a warning or a note: to know) at a place in the file; lines and columns count from 1."""

    line: int
    column: int
    text: str
    file: str = ""
    warning: bool = False
    note: bool = False  # true of any such file: nothing that could be mended in it

    @property
    def severity(self) -> str:
        """`error`, `warning` or `note`."""
        return "note" if self.note else "warning" if self.warning else "error"

    def __str__(self) -> str:
        severity = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.file}:{self.line}:{self.column}: {severity}{self.text}"


class RulesetError(ValueError):
    """The rules cannot be used; `problems` says where and what was expected, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
