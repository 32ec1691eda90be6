"""Recipients whose local part routes, by both listeners: whom and what lists they reach is counted (C3, M1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.server.test_parity import Gate, mail, open_gate
from tests.store.arrivals import people

STAFF = "all-staff@example.gov"
LISTS = f"domains: [example.gov]\nlists:\n  {STAFF}: {{members: [{', '.join(people(2600))}]}}\nagencies:\n"
LISTED = RULES.replace("agencies:\n", LISTS, 1).replace("within: 24h", "within: 24h, gather: off")
OUTSIDE = LISTED.replace("lists:\n", "outside: [alumni.dphhs.example.gov]\nlists:\n", 1)
FORMS = [
    "u{}%dphhs.example.gov@example.gov",
    "dphhs.example.gov!u{}@example.gov",
    '"u{}@dphhs.example.gov"@localhost',
    '"@r1:u{}%dphhs.example.gov"@example.gov',
    '"@r1,@r2:dphhs.example.gov!u{}"@example.gov',
    '"u{}%dphhs. example.gov"@example.gov',
]


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with Sink() as sink, open_gate(tmp_path, sink, LISTED) as gate:
        yield gate


@pytest.fixture(params=["smtp", "milter"])
def decide(request: pytest.FixtureRequest) -> Any:
    """What was decided about mail to the recipients that comes by the listener."""

    async def decide(gate: Gate, recipients: list[str]) -> Any:
        letter = mail(*recipients)
        await (gate.by_smtp if request.param == "smtp" else gate.by_milter)(letter)
        outcome = gate.passages[-1].outcome
        assert outcome, gate.passages[-1].failure
        return outcome

    return decide


@pytest.mark.parametrize("form", FORMS)
async def test_a_message_to_many_is_held_whatever_form_their_addresses_have(gate: Gate, decide: Any, form: str) -> None:
    outcome = await decide(gate, [form.format(number) for number in range(2001)] + ["a@doa.example.gov"])
    assert outcome.verdict.action == "hold"
    assert (outcome.counts.agencies, outcome.counts.unresolved) == ({"DPHHS": 2001, "DOA": 1}, 2001)


@pytest.mark.parametrize(
    "form",
    [
        "all-staff%example.gov@localhost",
        "all-staff@[127.0.0.1]",
        "example.gov!all-staff@doa.example.gov",
        '"@r1:all-staff"@example.gov',
        '"@r1:all-staff%localhost"@example.gov',
        '"@[127.0.0.1]:all-staff"@example.gov',
    ],
)
async def test_a_list_counts_as_one_in_any_form(gate: Gate, decide: Any, form: str) -> None:
    outcome = await decide(gate, [form])
    assert outcome.verdict.action == "hold" and outcome.counts.lists == {STAFF}


async def test_two_signs_in_one_address_are_seen_beside_another_without_any(gate: Gate) -> None:
    """The milter takes addresses as the mail server has them: with two `@`, or with none."""
    await gate.by_milter(mail("all-staff@example.gov@localhost", "postmaster"))
    outcome = gate.passages[-1].outcome
    assert outcome and outcome.verdict.action == "hold" and outcome.counts.lists == {STAFF}


async def test_a_subdomain_that_nobody_declared_is_its_parents(tmp_path: Path, decide: Any) -> None:
    readers = [f"u{number}@{name}.dphhs.example.gov" for number in range(1001) for name in ("alumni", "lab")]
    async with Sink() as sink, open_gate(tmp_path / "a", sink, LISTED) as gate:
        outcome = await decide(gate, [*readers, "a@doa.example.gov"])
        assert (outcome.verdict.action, outcome.counts.agencies) == ("hold", {"DPHHS": 2002, "DOA": 1})
    async with Sink() as sink, open_gate(tmp_path / "b", sink, OUTSIDE) as gate:
        outcome = await decide(gate, [*readers, "a@doa.example.gov"])
        assert (outcome.verdict.action, outcome.counts.external) == ("relay", 1001)
