"""Problems of rules files in the forms that people, editors and code hosts read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatekeeper.rules import Problem

FORMATS = ("text", "json", "github", "gitlab")
_PLACED = re.compile(r"(?P<file>[^\n:]+):(?P<line>[0-9]+): (?P<text>.*)", re.DOTALL)


def placed(text: str, file: str, *, warning: bool = False) -> Problem:
    """A problem that another room told as `file:line: text`, or as text about a file."""
    found = _PLACED.fullmatch(text)
    if found:
        return Problem(int(found["line"]), 1, found["text"], found["file"], warning)
    return Problem(1, 1, text, file, warning)


def as_document(problem: Problem) -> dict[str, Any]:
    """A problem as JSON."""
    place = {"file": problem.file, "line": problem.line, "column": problem.column}
    return {**place, "text": problem.text, "severity": problem.severity}


def github(problem: Problem) -> str:
    """A workflow command, which GitHub and those who follow it show beside the line."""
    kind = "notice" if problem.note else problem.severity
    file = _escaped(problem.file).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={file},line={problem.line},col={problem.column}::{_escaped(problem.text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def gitlab(problem: Problem) -> dict[str, Any]:
    """A finding as GitLab's code quality reports have it."""
    return {
        "description": problem.text,
        "check_name": "gatekeeper-rules",
        "fingerprint": hashlib.sha256(f"{problem.file} {problem.text}".encode()).hexdigest(),
        "severity": {"note": "info", "warning": "minor", "error": "critical"}[problem.severity],
        "location": {"path": problem.file, "lines": {"begin": problem.line}},
    }


DOCUMENTS: Mapping[str, Callable[[Problem], dict[str, Any]]] = {"json": as_document, "gitlab": gitlab}


def lines(problems: Iterable[Problem], form: str) -> Iterable[str]:
    """A line a problem, as people read it, or as annotations."""
    return map(github if form == "github" else str, problems)
