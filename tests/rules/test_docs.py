"""docs/rules.md is whole, and its examples load."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from gatekeeper.directory.loaders.load import load
from gatekeeper.policy.active import Policy
from gatekeeper.policy.case_runner import run_case, unmatched_rules
from gatekeeper.rules import FIELDS, parse_ruleset, schema
from gatekeeper.rules.cases.case_file import _document, parse_cases
from gatekeeper.rules.language.operators import OPERATORS
from gatekeeper.rules.language.yaml_nodes import LARGEST_FILE
from gatekeeper.rules.text_template import PLACEHOLDERS
from tests.rules.making import HEAD, ROOT, check

PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = [
    example for example in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if not example.startswith("cases:")
]
BEGINNING, *RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE.partition("\n## Cookbook\n")[2], re.DOTALL)


def keys_of(part: object) -> set[str]:
    """Every key of the schema, but for the fields and tests of conditions."""
    if isinstance(part, list):
        return {name for each in part for name in keys_of(each)}
    if not isinstance(part, dict):
        return set()
    own = set(part.get("properties", ()))
    return own | {name for each in part.values() for name in keys_of(each)}


@pytest.mark.parametrize("name", sorted(keys_of(schema()) | set(OPERATORS) - {"equal"}))
def test_every_key_field_and_test_is_documented(name):
    assert re.search(rf"`{name}[`:]|`[^`\n]*\b{name}: [^`\n]*`", PAGE), f"docs/rules.md does not tell of {name}"


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)
def test_every_field_has_a_row(field):
    assert re.search(rf"^\| `{field.name}` \|.*$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_every_placeholder_is_documented(name):
    assert f"`{{{name}}}`" in PAGE


def test_every_top_level_key_has_its_default():
    for key in schema()["properties"]:
        assert re.search(rf"^\| `{key}` \|[^|]+\| \S", PAGE, re.MULTILINE), key


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads(example):
    if example.startswith("- id:"):
        text = f"{HEAD}rules:\n{example}"
    elif example.startswith("version:"):
        text = example
    else:
        text = f"version: 1\n{example}rules: []\n"
    assert [str(problem) for problem in check(text) if not problem.warning] == []


def test_there_are_examples_and_the_limit_is_told():
    assert len(EXAMPLES) > 10
    assert f"at most {LARGEST_FILE // 1000} kB" in PAGE


@pytest.mark.parametrize("recipe", range(0, len(RECIPES), 2))
def test_every_case_of_the_cookbook_comes_out_as_it_says(recipe, tmp_path):
    rules, cases = RECIPES[recipe : recipe + 2]
    (tmp_path / "consented.txt").write_text("yes@example.net\n")
    ruleset = parse_ruleset(BEGINNING.replace("rules: []\n", f"rules:\n{rules}"), "docs/rules.md", tmp_path)
    policy, now = Policy(ruleset, load(ruleset)), datetime(2026, 11, 25, 12, tzinfo=UTC)
    tried = [run_case(case, policy, tmp_path, now) for case in parse_cases(cases, "docs/rules.md", ruleset)]
    assert [each.differences for each in tried if each.differences] == []
    assert unmatched_rules(tried, policy) == () == ruleset.warnings


def test_the_cookbook_has_what_was_asked_for():
    assert len(RECIPES) >= 16 and len(RECIPES) % 2 == 0


def test_every_key_of_a_case_is_documented():
    page = (ROOT / "docs" / "editing-rules.md").read_text(encoding="utf-8")
    document = _document(frozenset()).schema()
    case = document["properties"]["cases"]["anyOf"][0]["properties"]
    standing = case["standing"]["properties"]
    permit = standing["permits"]["anyOf"][0]["properties"]
    for name in {*case, *case["expect"]["properties"], *standing, *permit}:
        assert re.search(rf"^\| .*`{name}`.* \|", page, re.MULTILINE), name
