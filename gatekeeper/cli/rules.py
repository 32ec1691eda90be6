"""`gatekeeper rules check` and `rules schema`."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from gatekeeper import rules as ruleset_room
from gatekeeper.calendars import calendar_problem
from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_INPUT,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.directory import DirectoryError, load
from gatekeeper.in_force import texts_of
from gatekeeper.notify import TextsError
from gatekeeper.rules import Problem, RulesetError


@click.group()
def rules() -> None:
    """Check rules.yaml; print its JSON Schema."""


@rules.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@setting_options("rules")
@json_option
def check(file: Path | None, as_json: bool, **given: Any) -> None:
    """Say everything that is wrong with FILE (--rules where not named), as file:line:column; exit 65 on errors."""
    path = file or settings_of(given).judging.rules
    errors, warnings = _check(path)
    if as_json:
        print_json([_document(problem) for problem in (*errors, *warnings)])
    else:
        for problem in (*errors, *warnings):
            click.echo(str(problem))
    if errors:
        raise SystemExit(DATA_ERROR)
    if not as_json:
        click.echo(f"{path}: good" + (f", {len(warnings)} warnings" if warnings else ""))


def _check(path: Path) -> tuple[list[Problem | str], list[Problem | str]]:
    try:
        ruleset = ruleset_room.read_ruleset(path)
        if problem := calendar_problem(ruleset, str(path)):
            return [problem], []
        load(ruleset)
        texts_of(ruleset)
    except RulesetError as error:
        found = error.problems
        return [one for one in found if not one.warning], [one for one in found if one.warning]
    except DirectoryError as error:
        return [str(error)], []
    except TextsError as error:
        return list(error.problems), []
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None
    return [], [*ruleset.warnings, *ruleset_room.date_warnings(ruleset, date.today())]


def _document(problem: Problem | str) -> dict[str, Any]:
    if isinstance(problem, str):
        return {"text": problem, "severity": "error"}
    severity = "warning" if problem.warning else "error"
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "text": problem.text,
        "severity": severity,
    }


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rules.yaml, for editors."""
    print_json(ruleset_room.schema())
