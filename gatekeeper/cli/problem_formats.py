"""Problems of rules files as text, JSON, GitHub annotations and GitLab code quality reports."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatekeeper.rules import Problem

FORMATS = ("text", "json", "github", "gitlab")
_PLACED = re.compile(r"(?P<file>[^\n:]+):(?P<line>[0-9]+): (?P<text>.*)", re.DOTALL)


def placed(text: str, file: str, *, warning: bool = False) -> Problem:
    """Return a Problem for a message of the form `file:line: text`; any other text is put at line 1 of `file`."""
    found = _PLACED.fullmatch(text)
    if found:
        return Problem(int(found["line"]), 1, found["text"], found["file"], warning)
    return Problem(1, 1, text, file, warning)


def as_document(problem: Problem) -> dict[str, Any]:
    """Return a problem as a JSON object."""
    place = {"file": problem.file, "line": problem.line, "column": problem.column}
    return {**place, "text": problem.text, "severity": problem.severity}


def github(problem: Problem) -> str:
    """Return a problem as a GitHub workflow command, which GitHub and compatible hosts show beside the line."""
    kind = "notice" if problem.note else problem.severity
    file = _escaped(problem.file).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={file},line={problem.line},col={problem.column}::{_escaped(problem.text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def gitlab(problem: Problem) -> dict[str, Any]:
    """Return a problem as an entry of a GitLab code quality report."""
    return {
        "description": problem.text,
        "check_name": "gatekeeper-rules",
        "fingerprint": hashlib.sha256(f"{problem.file} {problem.text}".encode()).hexdigest(),
        "severity": {"note": "info", "warning": "minor", "error": "critical"}[problem.severity],
        "location": {"path": problem.file, "lines": {"begin": problem.line}},
    }


DOCUMENTS: Mapping[str, Callable[[Problem], dict[str, Any]]] = {"json": as_document, "gitlab": gitlab}


def lines(problems: Iterable[Problem], form: str) -> Iterable[str]:
    """Return one line for each problem: as a GitHub workflow command where `form` is "github", else as plain text."""
    return map(github if form == "github" else str, problems)
