"""Read `ask:`, who must agree before a held mailing may leave: roles, people, owners, heads, or n of m of these."""

from __future__ import annotations

from typing import Any

from gatekeeper.rules.language.advice import did_you_mean
from gatekeeper.rules.language.scalars import ADDRESS, POSITIVE
from gatekeeper.rules.language.value_types import (
    INVALID,
    Json,
    Key,
    ListOf,
    Reading,
    Section,
    scalar_text,
    shown,
)
from gatekeeper.rules.language.yaml_nodes import Mapping, Node
from gatekeeper.rules.specs import ROLES, AskSome, AskTerm

_EXPECTED = f"a role ({', '.join(ROLES)}), an address, owners, head, agencies.ID.head, or {{any: 2, of: [...]}}"


class _Term:
    """The shape of one who is asked."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Return an AskTerm."""
        text = scalar_text(node, _EXPECTED, reading)
        if text is INVALID:
            return INVALID
        if text in ("owners", "head"):
            return AskTerm(text)
        if text.startswith("agencies.") and text.endswith(".head"):
            return self._head(text, node, reading)
        if "@" in text:
            return self._person(node, reading)
        if text not in ROLES:
            hint = did_you_mean(text, (*ROLES, "owners", "head"))
            return reading.error(node, f"{shown(text)}: expected {_EXPECTED}{hint}")
        return AskTerm("role", text)

    def _head(self, text: str, node: Node, reading: Reading) -> Any:
        agency = text.removeprefix("agencies.").removesuffix(".head")
        if agency in reading.names.agencies:
            return AskTerm("head", agency)
        hint = did_you_mean(agency, reading.names.agencies)
        return reading.error(node, f"{shown(agency)}: expected the id of an agency under agencies{hint}")

    def _person(self, node: Node, reading: Reading) -> Any:
        address = ADDRESS.read(node, reading)
        if address is not INVALID and address not in reading.names.people:
            reading.warn(node, f"{address} is asked but does not stand under people: nobody could decide in that name")
        return address if address is INVALID else AskTerm("person", address)

    def schema(self) -> Json:
        """Return the schema of any text."""
        return {"type": "string"}


def _make_some(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    number, of = values["any"], values["of"]
    if number > len(of) and all(term.kind == "person" for term in of):
        return reading.error(node, f"any {number} of {len(of)} people: expected no more than there are")
    return AskSome(number, of)


SOME = Section(
    "n of m, such as {any: 2, of: [approver, cio@example.gov]}",
    (
        Key("any", POSITIVE, "How many of them must agree.", required=True),
        Key("of", ListOf(_Term(), 1), "Who they are.", required=True),
    ),
    _make_some,
)


class _One:
    """The shape of a term, or of n of m."""

    def read(self, node: Node, reading: Reading) -> Any:
        return (SOME if isinstance(node, Mapping) else _Term()).read(node, reading)

    def schema(self) -> Json:
        return {"anyOf": [_Term().schema(), SOME.schema()]}


ASK = ListOf(_One(), 1)
