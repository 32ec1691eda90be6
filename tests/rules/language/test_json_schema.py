"""The JSON Schema: made from the same tables, so that what the reader takes, the schema takes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from gatekeeper.rules import FIELDS, schema
from tests.rules.language.test_broken_files import BROKEN
from tests.rules.language.test_document import LEAST, WHOLE
from tests.rules.making import HEAD, ROOT, check

# As outside programs write rules: no title of ours, the least that is asked.
OTHERS = """\
version: 1
title: Mass electronic mail
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.doa.example.gov"]}
  DPHHS: {name: Health, domains: [dphhs.example.gov]}
timezone: UTC
people:
  cio@example.gov: {roles: [approver, auditor], final: true}
  head@doa.example.gov: {roles: [requester, approver], of: [DOA]}
mailing:
  source: sender
  within: 24h
  gather: {from: 50, quiet: 2s, limit: 30s}
mass: {people: {over: 200}}
rules:
  - id: approval
    cite: 1220.XS2 III.A
    when: {users: {over: 2000}, agencies: {over: 1}}
    then: hold
    say: This mailing reaches {users} users in {agencies} agencies and needs approval.
  - id: subject
    when: {mass: true, subject: {missing: true}}
    then: reject
    say: Mass mail must have a subject line.
"""
SHIPPED = [
    path.read_text(encoding="utf-8")
    for path in (ROOT / "rules.yaml", *sorted((ROOT / "examples").glob("*/rules.yaml")))
]
CONDITIONS = """
rules:
  - {id: a, when: {any: [big, {not: [{subject: NO}, {network: 192.0.2.0/24}]}]}, then: hold, ask: approver}
  - {id: b, when: {reach: {of: all-staff@example.gov, at_least: 80%}}, then: warn}
  - {id: c, when: {earlier: {within: 7d, at_least: 1}, big: true}, then: warn, during: {until: 2026-12-31}}
define: {big: {users: {over: 10}}}
"""


def as_an_editor_sees_it(text: str) -> Any:
    """YAML with the usual meaning of its scalars, which turns NO, 1:30 and days into other things."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("text", [LEAST, WHOLE, OTHERS, HEAD + CONDITIONS, *SHIPPED])
def test_what_the_reader_takes_the_schema_takes(validator, text):
    assert [problem for problem in check(text) if not problem.warning] == []
    validator.validate(as_an_editor_sees_it(text))


@pytest.mark.parametrize("word", ["off", "'off'", "{from: 50}"])
def test_gather_off_is_taken_as_a_word_and_as_false(validator, word):
    validator.validate(as_an_editor_sees_it(f"{LEAST}mailing: {{gather: {word}}}\n"))


STRUCTURAL = (
    "did you mean t",
    "did you mean wi",
    "did you mean cite",
    "when missing",
    "rules missing",
    "is no test of",
)


@pytest.mark.parametrize("text", [text for text, _, _, told in BROKEN if any(part in told for part in STRUCTURAL)])
def test_the_schema_refuses_unknown_and_missing_keys_too(validator, text):
    assert not validator.is_valid(as_an_editor_sees_it(text))


def test_the_schema_tells_an_editor_what_each_field_is(validator):
    properties = schema()["$defs"]["condition"]["anyOf"][1]["properties"]
    assert {name: part["description"] for name, part in properties.items() if name in FIELDS} == {
        field.name: field.doc for field in FIELDS.values()
    }


def test_every_reference_of_the_schema_is_within_it():
    """It works without a network."""
    references = {part.split('"')[0] for part in json.dumps(schema()).split('"$ref": "')[1:]}
    assert references == {"#/$defs/condition"}
