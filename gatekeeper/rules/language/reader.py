"""Read a rules file into a Ruleset, or report all its problems at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from gatekeeper.address import normalise
from gatekeeper.rules.language.document import DOCUMENT
from gatekeeper.rules.language.lint import warn_of_findings, warn_of_lost_text
from gatekeeper.rules.language.problems import Problem, RulesetError
from gatekeeper.rules.language.scalars import find_zone
from gatekeeper.rules.language.value_types import Failed, Names, Reading
from gatekeeper.rules.language.yaml_nodes import (
    LARGEST_FILE,
    Mapping,
    Node,
    Scalar,
    Sequence,
    YamlError,
    compose,
    decode,
)
from gatekeeper.rules.matching.compile import compile_condition
from gatekeeper.rules.ruleset import MASS, Ruleset

_REVIEW_IS_NEAR = timedelta(days=30)


def read_ruleset(path: Path) -> Ruleset:
    """Read a rules file. Files that the rules name are relative to the folder of the rules.

    Raises RulesetError with all problems, OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    try:
        text = decode(content)
    except YamlError as error:
        raise RulesetError([_problem(error, str(path))]) from None
    return parse_ruleset(text, str(path), path.parent)


def parse_ruleset(text: str, name: str, folder: Path) -> Ruleset:
    """Read rules from text. Args: `name` stands before problems, named files are relative to `folder`.

    Raises RulesetError with all problems, warnings among them.
    """
    ruleset, problems = _read(text, name, folder)
    if ruleset is None:
        raise RulesetError(problems)
    return ruleset


def check_ruleset(text: str, name: str, folder: Path) -> tuple[Problem, ...]:
    """Return all errors and warnings of the rules, in the order of the file."""
    return _read(text, name, folder)[1]


def date_warnings(ruleset: Ruleset, today: date) -> tuple[str, ...]:
    """Return what the ruleset's dates mean on a day (M7): not effective yet, review near or past, rules that ended."""
    warnings = []
    if ruleset.effective and today < ruleset.effective:
        warnings.append(f"these rules are meant to be in force from {ruleset.effective} on, and are applied already")
    if ruleset.review and ruleset.review < today:
        warnings.append(f"the review date of these rules has passed: {ruleset.review}")
    elif ruleset.review and ruleset.review - today <= _REVIEW_IS_NEAR:
        warnings.append(f"the review date of these rules is near: {ruleset.review}")
    midnight = datetime.combine(today, time(), ruleset.timezone)
    ended = (rule for rule in ruleset.rules if rule.during and rule.during.end and rule.during.end <= midnight)
    return (*warnings, *(f"rule {rule.id} is over: its last day has passed" for rule in ended))


def date_problems(ruleset: Ruleset, today: date, name: str) -> tuple[Problem, ...]:
    """Return `date_warnings` as problems, each at its line of the file `name`."""
    lines = {key: _line_of(ruleset.text, key) for key in ("effective", "review")}
    found = []
    for text in date_warnings(ruleset, today):
        rule = next((rule for rule in ruleset.rules if text.startswith(f"rule {rule.id} ")), None)
        line = rule.line if rule else lines["review" if "review" in text else "effective"]
        found.append(Problem(line, 1, text, name, warning=True))
    return tuple(found)


def scope_notes(ruleset: Ruleset, name: str) -> tuple[Problem, ...]:
    """Return a note on what `scope` relies on (M9), at its line of the file `name`; () where there is no scope."""
    if not ruleset.scope_except:
        return ()
    agencies = ", ".join(sorted(ruleset.scope_except))
    text = (
        f"scope: where the gate knows no login, senders of {agencies} are told by MAIL FROM and From, addresses that "
        "anybody can write: expected a mail server before the gate that checks MAIL FROM (docs/postfix.md)"
    )
    return (Problem(_line_of(ruleset.text, "scope"), 1, text, name, warning=True, note=True),)


def at_its_line(problem: str, ruleset: Ruleset, name: str) -> Problem | None:
    """Return the problem of a whole file, `PATH: text`, at the place where the rules name the file.

    None for other problems. Args: `name` is that of the rules.
    """
    path = Path(problem.partition(": ")[0])
    waiting: list[Node | None] = [compose(ruleset.text)[0]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Scalar) and node.text and "\0" not in node.text and ruleset.folder / node.text == path:
            return Problem(node.line, node.column, problem, name)
        if isinstance(node, Mapping):
            waiting += (value for _, value in node.pairs)
        elif isinstance(node, Sequence):
            waiting += node.items
    return None


def _line_of(text: str, key: str) -> int:
    """Return the line of a key of the first level; 1 for a file written in braces."""
    lines = (number for number, line in enumerate(text.splitlines(), 1) if line.startswith(f"{key}:"))
    return next(lines, 1)


# -- how it is read ----------------------------------------------------------------------------------------------


def _read(text: str, name: str, folder: Path) -> tuple[Ruleset | None, tuple[Problem, ...]]:
    """Return the ruleset (None where there are errors) and all problems."""
    text = text.removeprefix("\ufeff")
    reading = Reading(name)
    try:
        root, faults = compose(text)
    except YamlError as error:
        return None, (_problem(error, name),)
    try:
        values = _read_document(root, text, reading)
    except RulesetError as error:
        return None, error.problems
    problems = tuple(sorted((*reading.problems, *(_problem(fault, name) for fault in faults))))
    if isinstance(values, Failed) or any(not problem.warning for problem in problems):
        return None, problems
    return _build(values, problems, text, folder), problems


def _read_document(root: Node | None, text: str, reading: Reading) -> Any:
    if root is None:
        return reading.error(Scalar(1, 1), "the file is empty: expected version: 1 and rules")
    if isinstance(root, Mapping):
        reading.names = _declared(root)
    values = DOCUMENT.read(root, reading)
    if isinstance(root, Mapping):
        warn_of_findings(root, values, reading)
        warn_of_lost_text(root, text, reading)
    return values


def _build(values: dict[str, Any], problems: tuple[Problem, ...], text: str, folder: Path) -> Ruleset:
    given = {key: value for key, value in values.items() if key not in ("version", "define", "scope")}
    given.setdefault("mass", MASS)
    return Ruleset(
        digest=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        folder=folder,
        scope_except=values.get("scope", frozenset()),
        mass_matches=compile_condition(given["mass"]),
        warnings=problems,
        **given,
    )


def _problem(error: YamlError, name: str) -> Problem:
    return Problem(error.line, error.column, error.text, name)


# -- what the file declares --------------------------------------------------------------------------------------


def _declared(root: Mapping) -> Names:
    zone = root.get("timezone")
    agencies = frozenset(key for key, _ in _pairs(root, "agencies"))
    lists = [*_pairs(root, "lists")]
    names = Names(
        agencies=agencies,
        audiences=agencies | {normalise(address) for address, _ in lists} | {*_owners(spec for _, spec in lists)},
        people=frozenset(normalise(address) for address, _ in _pairs(root, "people")),
        groups=frozenset(key for key, _ in _pairs(root, "groups")),
        defines=dict(_pairs(root, "define")),
    )
    if isinstance(zone, Scalar):
        names.timezone = find_zone(zone.text) or names.timezone
    return names


def _pairs(root: Mapping, name: str) -> Iterator[tuple[str, Node]]:
    """Yield the keys and values under a key of the first level, of all occurrences: duplicates are errors already."""
    for key, value in root.pairs:
        if key.text == name and isinstance(value, Mapping):
            yield from ((inner.text, node) for inner, node in value.pairs)


def _owners(specs: Iterable[Node]) -> Iterator[str]:
    for spec in specs:
        owner = spec.get("owner") if isinstance(spec, Mapping) else None
        if isinstance(owner, Scalar):
            yield owner.text
