"""`gatekeeper rules check`, `rules schema` and `rules test`: check rules.yaml, and try its cases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from gatekeeper import rules as rules_package
from gatekeeper.cli.common import DATA_ERROR, NO_INPUT, Failure, json_option, print_json, setting_options, settings_of
from gatekeeper.cli.lazy_group import LazyCommands, Verbs
from gatekeeper.cli.problem_formats import DOCUMENTS, FORMATS, lines, placed
from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.notices import TemplatesError
from gatekeeper.policy.active import Policy, texts_of
from gatekeeper.policy.case_runner import CaseResult, run_case, unmatched_rules
from gatekeeper.rules import Problem, RulesetError
from gatekeeper.rules.ruleset import calendar_problem

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    help="the output: for people, programs or a code host",
)


@click.group(cls=Verbs, commands=LazyCommands({"replay": "gatekeeper.cli.commands.replay"}))
def rules() -> None:
    """Check rules.yaml and try it on cases; print its JSON Schema."""


# -- check -------------------------------------------------------------------------------------------------------


@rules.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1)
@click.option("--strict", is_flag=True, help="warnings are errors")
@format_option
@setting_options("rules")
@json_option
def check(files: tuple[Path, ...], strict: bool, form: str, as_json: bool, **given: Any) -> None:
    """List all problems of FILES (default: --rules), as file:line:column; exit 65 on errors."""
    paths = files or (settings_of(given).judging.rules,)
    found = {path: tuple(_problems(path)) for path in paths}
    form = "json" if as_json else form
    if form in DOCUMENTS:
        print_json([DOCUMENTS[form](problem) for problems in found.values() for problem in problems])
    else:
        for path, problems in found.items():
            _print(path, problems, form)
    severe = ("error", "warning") if strict else ("error",)
    if any(problem.severity in severe for problems in found.values() for problem in problems):
        raise SystemExit(DATA_ERROR)


def _print(path: Path, problems: tuple[Problem, ...], form: str) -> None:
    for line in lines(problems, form):
        click.echo(line)
    if all(problem.severity != "error" for problem in problems):
        warnings = sum(problem.severity == "warning" for problem in problems)
        click.echo(f"{path}: good" + (f", {warnings} warnings" if warnings else ""))


def _problems(path: Path) -> Iterator[Problem]:
    """Yield all problems of a ruleset and of the files that it names.

    Raises: Failure with EX_NOINPUT where a file cannot be read.
    """
    try:
        yield from _of_the_rules(path)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None


def _of_the_rules(path: Path) -> Iterator[Problem]:
    try:
        ruleset = rules_package.read_ruleset(path)
    except RulesetError as error:
        yield from error.problems
        return
    yield from ruleset.warnings
    if problem := calendar_problem(ruleset, str(path)):
        yield problem
    try:
        directory = load(ruleset)
        texts_of(ruleset)
    except (DirectoryError, TemplatesError) as error:
        for text in error.problems:
            yield rules_package.at_its_line(text, ruleset, str(path)) or placed(text, str(path))
        return
    yield from (placed(problem, str(path), warning=True) for problem in directory.problems)
    for address in sorted(ruleset.watched):
        if directory.watched(address) is None:
            yield placed(f"reach of {address}: nobody knows a list of that address", str(path), warning=True)
    yield from rules_package.date_problems(ruleset, date.today(), str(path))
    yield from rules_package.scope_notes(ruleset, str(path))


# -- schema ------------------------------------------------------------------------------------------------------


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rules.yaml, for editors."""
    print_json(rules_package.schema())


# -- test --------------------------------------------------------------------------------------------------------


@rules.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@format_option
@setting_options("rules")
@json_option
def test(file: Path | None, form: str, as_json: bool, **given: Any) -> None:
    """Run the cases of FILE (default: --rules), which are in rules.test.yaml beside rules.yaml; exit 65 on failures."""
    rules_path, cases_path = _paths(file or settings_of(given).judging.rules)
    policy, cases = _read(rules_path, cases_path)
    now = datetime.now(UTC)
    try:
        tried = [run_case(case, policy, cases_path.parent, now) for case in cases]
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", NO_INPUT) from None
    silent = unmatched_rules(tried, policy)
    _report(tried, silent, cases_path, "json" if as_json else form)
    if any(each.differences for each in tried):
        raise SystemExit(DATA_ERROR)


def _paths(file: Path) -> tuple[Path, Path]:
    """Return the paths of the rules and of their cases, whichever of the two `file` is."""
    if file.stem.endswith(".test"):
        return file.with_name(file.stem.removesuffix(".test") + file.suffix), file
    return file, file.with_name(f"{file.stem}.test{file.suffix or '.yaml'}")


def _read(rules_path: Path, cases_path: Path) -> tuple[Policy, tuple[rules_package.Case, ...]]:
    try:
        ruleset = rules_package.read_ruleset(rules_path)
        if problem := calendar_problem(ruleset, str(rules_path)):
            raise RulesetError([problem])
        policy = Policy(ruleset, load(ruleset))
        return policy, rules_package.read_cases(cases_path, ruleset)
    except RulesetError as error:
        problems = [str(problem) for problem in error.problems if not problem.warning]
        raise Failure("\n".join(problems), DATA_ERROR) from None
    except DirectoryError as error:
        raise Failure(str(error), DATA_ERROR) from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", NO_INPUT) from None


def _report(tried: list[CaseResult], silent: tuple[str, ...], path: Path, form: str) -> None:
    failed = [_problem(each, path) for each in tried if each.differences]
    unfired = [Problem(1, 1, f"no case fires rule {rule}", str(path), warning=True) for rule in silent]
    if form == "json":
        print_json({"cases": [_case_document(each, path) for each in tried], "silent": list(silent)})
    elif form == "gitlab":
        print_json([DOCUMENTS[form](problem) for problem in (*failed, *unfired)])
    else:
        for line in lines((*failed, *unfired), form):
            click.echo(line)
        click.echo(f"{path}: {len(tried)} cases, {len(failed)} failed")


def _problem(tried: CaseResult, path: Path) -> Problem:
    return Problem(tried.case.line, tried.case.column, f"{tried.case.name}: {'; '.join(tried.differences)}", str(path))


def _case_document(tried: CaseResult, path: Path) -> dict[str, Any]:
    decided = rules_package.decision(tried.explanation.verdict, tried.explanation.counts)
    case = {"name": tried.case.name, "cite": tried.case.cite, "line": tried.case.line}
    return {**case, "passed": not tried.differences, "differences": list(tried.differences), **decided}
