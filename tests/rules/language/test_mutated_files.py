"""Rules and cases changed at random: each is read, or told what is wrong with it; none ends in a crash."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from gatekeeper.rules import Problem, RulesetError, explain, judge, parse_ruleset, read_ruleset
from gatekeeper.rules.cases.case_file import parse_cases
from gatekeeper.rules.language.reader import date_problems
from gatekeeper.rules.language.yaml_nodes import YamlError, decode
from gatekeeper.rules.ruleset import calendar_problem
from tests.rules.making import NOW, attached, evidence
from tests.rules.mutating import RULES, mutants

CASES = tuple(path.with_name("rules.test.yaml") for path in RULES if path.with_name("rules.test.yaml").exists())
MAIL = (
    evidence(),
    evidence(users=300, external=5, visible=30, subject=None, attachments=attached("a.exe"), unlisted=1, unconsented=1),
)


def read_rules(path: Path, content: bytes) -> str:
    """What became of it: refused, or in force; rules in force judge and explain a message."""
    try:
        ruleset = parse_ruleset(decode(content), "rules.yaml", path.parent)
        if problem := calendar_problem(ruleset, "rules.yaml"):
            return told([problem])
    except YamlError as error:
        return told([Problem(error.line, error.column, error.text, "rules.yaml")])
    except RulesetError as error:
        return told(error.problems)
    told([*ruleset.warnings, *date_problems(ruleset, date(2026, 11, 25), "rules.yaml")])
    for each in MAIL:
        assert explain(ruleset, each, NOW).verdict == judge(ruleset, each, NOW)
    return "read"


def read_cases(path: Path, content: bytes) -> str:
    try:
        parse_cases(decode(content), "rules.test.yaml", sound(path.with_name("rules.yaml")))
    except YamlError as error:
        return told([Problem(error.line, error.column, error.text, "rules.test.yaml")])
    except RulesetError as error:
        return told(error.problems)
    return "read"


sound = cache(read_ruleset)


def told(problems) -> str:
    for problem in problems:
        assert problem.line >= 1 and problem.column >= 1 and problem.text
    return "refused"


def campaign(files, read, number: int, seed: int) -> Counter[str]:
    """Read so many mutants, and count what became of them; which one crashes it, says the seed and its place."""
    became: Counter[str] = Counter()
    for place, (path, content) in enumerate(islice(mutants(files, random.Random(seed)), number)):
        try:
            became[read(path, content)] += 1
        except Exception as error:
            raise AssertionError(f"mutant {place} of seed {seed}, of {path}: {content!r}") from error
    return became


def test_some_hundreds_of_them():
    of_rules, of_cases = campaign(RULES, read_rules, 200, seed=1), campaign(CASES, read_cases, 40, seed=2)
    assert of_rules["read"] > 20 < of_rules["refused"]
    assert of_cases["read"] > 3 < of_cases["refused"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
def test_a_hundred_thousand_of_them(seed):
    became = campaign(RULES, read_rules, 10_000, seed) + campaign(CASES, read_cases, 1_000, seed)
    print(dict(became))
    assert became.total() == 11_000 and became["read"] > 1_000 < became["refused"]
