"""docs/rules.md is whole, and its examples load."""

from __future__ import annotations

import re

import pytest

from gatekeeper.rules import FIELDS, schema
from gatekeeper.rules.operators import OPERATORS
from gatekeeper.rules.say import PLACEHOLDERS
from gatekeeper.rules.yaml_nodes import LARGEST_FILE

from .making import HEAD, ROOT, check

PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


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
def test_every_field_has_a_row_that_says_whether_it_can_be_told(field):
    row = re.search(rf"^\| `{field.name}` \|.*$", PAGE, re.MULTILINE)
    assert row
    assert ("cannot be told yet" in row[0]) is not field.available


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
