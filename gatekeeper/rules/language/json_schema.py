"""Make the JSON Schema of rules.yaml from the tables of the reader. Editors use it to complete and check."""

from __future__ import annotations

from typing import Any

from gatekeeper.rules.field_kinds import Field
from gatekeeper.rules.fields import FIELDS
from gatekeeper.rules.language.document import DOCUMENT
from gatekeeper.rules.language.operators import operands
from gatekeeper.rules.language.read_conditions import COMBINATIONS
from gatekeeper.rules.language.value_types import Json

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the grammar as JSON Schema 2020-12.

    The schema takes whatever the reader takes, and a little more: only the reader checks references, dates, and tests
    of growing counts.
    """
    return {
        "$schema": _DIALECT,
        "title": "rules.yaml of Gatekeeper",
        "$defs": {"condition": _condition()},
        **DOCUMENT.schema(),
    }


def _condition() -> Json:
    condition: Json = {"$ref": "#/$defs/condition"}
    several: Json = {"type": "array", "items": condition, "minItems": 1}
    combined: Json = dict.fromkeys(COMBINATIONS, several) | {"not": {"anyOf": [condition, several]}}
    fields = {field.name: _field(field) for field in FIELDS.values()}
    mapping: Json = {
        "type": "object",
        "minProperties": 1,
        "properties": combined | fields,
        "additionalProperties": {"const": True, "description": "The name of a define, with true."},
    }
    return {"anyOf": [{"type": "string", "description": "The name of a define."}, mapping]}


def _field(field: Field) -> Json:
    admitted = operands(field)
    described = {"description": field.doc}
    if "whole" in admitted:
        return admitted["whole"].schema() | described
    tests = {name: shape.schema() for name, shape in admitted.items() if name != "equal"}
    forms: list[Json] = [admitted["equal"].schema()]
    if tests:
        forms.append({"type": "object", "minProperties": 1, "properties": tests, "additionalProperties": False})
    return {"anyOf": forms} | described
