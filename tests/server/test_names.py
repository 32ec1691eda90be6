"""A From that neither login nor MAIL FROM bears out takes no match of a rule back, by both listeners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.server.test_parity import Letter, open_gate
from tests.store.arrivals import people

HOLD = "    then: hold\n"
LENT = "senders:\n  gov@doa.example.gov: {used_by: [press@doa.example.gov], purpose: official}\nagencies:\n"
NAMED = RULES.replace("agencies:\n", LENT, 1)
UNLESS_GOV = NAMED.replace(HOLD, f"    unless: {{sender: gov@doa.example.gov}}\n{HOLD}", 1)
UNLESS_DOA = NAMED.replace(HOLD, f"    unless: {{sender_agency: DOA}}\n{HOLD}", 1)
NOT_FROM_GOV = NAMED.replace("over: 1}}", "over: 1}, not: {from: gov@doa.example.gov}}", 1)
UNLESS_OFFICIAL = NAMED.replace(HOLD, f"    unless: {{purpose: official}}\n{HOLD}", 1)
WHEN_GOV = NAMED.replace("over: 1}}", "over: 1}, sender: gov@doa.example.gov}", 1)
GOV, JO, PRESS, ANN = "gov@doa.example.gov", "jo@dphhs.example.gov", "press@doa.example.gov", "ann@doa.example.gov"


@pytest.mark.parametrize("listener", ["smtp", "milter"])
@pytest.mark.parametrize(
    ("rules", "author", "envelope", "action"),
    [
        (UNLESS_GOV, GOV, GOV, "relay"),
        (UNLESS_GOV, GOV, JO, "hold"),
        (UNLESS_GOV, GOV, "", "hold"),
        (UNLESS_GOV, GOV, PRESS, "relay"),
        (UNLESS_GOV, JO, GOV, "hold"),
        (UNLESS_DOA, GOV, ANN, "relay"),
        (UNLESS_DOA, GOV, JO, "hold"),
        (NOT_FROM_GOV, GOV, GOV, "relay"),
        (NOT_FROM_GOV, GOV, JO, "hold"),
        (UNLESS_OFFICIAL, GOV, GOV, "relay"),
        (UNLESS_OFFICIAL, GOV, JO, "hold"),
        (WHEN_GOV, GOV, JO, "hold"),
    ],
)
async def test_a_from_by_itself_takes_no_match_back(
    tmp_path: Path, listener: str, rules: str, author: str, envelope: str, action: str
) -> None:
    head = f"From: {author}\r\nMessage-ID: <1@doa.example.gov>\r\nSubject: Open enrolment\r\n\r\nHello\r\n"
    letter = Letter("", envelope, tuple(people(2600)), head.encode())
    async with (
        Sink() as sink,
        open_gate(tmp_path, sink, rules.replace("within: 24h", "within: 24h, gather: off")) as gate,
    ):
        way: Any = gate.by_smtp if listener == "smtp" else gate.by_milter
        await way(letter)
        outcome = gate.passages[-1].outcome
        assert outcome, gate.passages[-1].failure
        assert outcome.verdict.action == action
