"""Who is exempt, by both listeners: a From that neither a login nor MAIL FROM bears out exempts nobody (M9, C5, C8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gatekeeper.store import views
from tests.peers.gate import RULES
from tests.peers.sink import Sink
from tests.postfix.mails import Letter
from tests.server.test_parity import Gate, open_gate
from tests.store.arrivals import people

JO, DEAN, RECTOR = "jo@doa.example.gov", "dean@cs.univ.example.edu", "rector@univ.example.edu"
HEAD, NEWS, NOREPLY = "head@doa.example.gov", "news@doa.example.gov", "noreply@doa.example.gov"
BOARD = "board@example.gov"
EXCEPTED = f"""\
  MUS: {{name: University, domains: [univ.example.edu, "*.univ.example.edu"]}}
scope: {{except: [MUS]}}
lists:
  {BOARD}: {{members: [{", ".join(people(30))}], senders: [{HEAD}]}}
senders:
  {NEWS}: {{used_by: [{HEAD}]}}
people:
"""
NAMES = """\
  - id: names
    when: {mass: true, from_allowed: false}
    then: reject
    say: "This is not your name to use: {from_problem}."
"""
MAILING = f"within: 24h, gather: off, separate: [{NOREPLY}]"
SCOPED = RULES.replace("people:\n", EXCEPTED, 1).replace("within: 24h", MAILING)
MANY = people(2600)


def letter(sender: str, *head: str, to: list[str] | None = None) -> Letter:
    lines = (*head, "Subject: Open enrolment", "Message-ID: <1@doa.example.gov>", "", "Hello")
    return Letter("", sender, tuple(to or MANY), "".join(f"{line}\r\n" for line in lines).encode())


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    async with Sink() as sink, open_gate(tmp_path, sink, SCOPED) as gate:
        yield gate


@pytest.fixture(params=["smtp", "milter"])
def send(request: pytest.FixtureRequest, gate: Gate) -> Any:
    """What was decided about a letter that comes by the listener."""

    async def send(letter: Letter, login: str = "") -> str:
        await (gate.by_smtp if request.param == "smtp" else gate.by_milter)(letter, login)
        outcome = gate.passages[-1].outcome
        assert outcome, gate.passages[-1].failure
        return outcome.verdict.action.value

    return send


NOT_EXEMPT = {
    "a From alone": (letter(JO, f"From: {DEAN}"), ""),
    "two From fields": (letter(DEAN, f"From: {DEAN}", f"From: {JO}"), ""),
    "two authors": (letter(DEAN, f"From: {DEAN}, {JO}", f"Sender: {DEAN}"), ""),
    "a Sender of ours": (letter(DEAN, f"From: {DEAN}", f"Sender: {JO}"), ""),
    "the null sender": (letter("", f"From: {DEAN}"), ""),
    "SRS that names nobody": (letter("bounces+SRS=44ldt=IX@univ.example.edu", f"From: {DEAN}"), ""),
    "no From": (letter(DEAN), ""),
    "another's login": (letter(DEAN, f"From: {DEAN}"), JO),
    "a login of no domain": (letter(DEAN, f"From: {DEAN}"), "dean"),
}
EXEMPT = {
    "MAIL FROM and From": (letter(DEAN, f"From: {DEAN}"), ""),
    "a colleague's name": (letter(RECTOR, f"From: {DEAN}"), ""),
    "VERP": (letter("dean+one=example.org@cs.univ.example.edu", f"From: {DEAN}"), ""),
    "a login": (letter("", f"From: {DEAN}"), DEAN),
    "a login, and anything in MAIL FROM": (letter(JO, f"From: {DEAN}"), DEAN),
}


@pytest.mark.parametrize("name", NOT_EXEMPT)
async def test_a_name_that_nobody_vouches_for_exempts_nobody(send: Any, name: str) -> None:
    """Clause M9: the university's own senders are not covered, and nobody else who writes their name."""
    assert await send(*NOT_EXEMPT[name]) == "hold"


@pytest.mark.parametrize("name", EXEMPT)
async def test_senders_of_an_excepted_agency_are_exempt(send: Any, name: str) -> None:
    """Clause M9."""
    assert await send(*EXEMPT[name]) == "relay"


async def test_rules_about_names_bind_excepted_senders_too(tmp_path: Path) -> None:
    """Clause C5: no sending under another's name, whatever the scope."""
    shown = f'From: "{JO}" <{DEAN}>'
    async with Sink() as sink, open_gate(tmp_path, sink, SCOPED + NAMES) as gate:
        assert (await gate.by_smtp(letter(DEAN, shown))).startswith("550 5.7.1 Not sent. 1) This is not your name to")
        assert (await gate.by_milter(letter(DEAN, shown))).verdict.startswith("550 5.7.1")
        assert (await gate.by_smtp(letter(DEAN, f"From: {DEAN}")))[:3] == "250"
        assert [passage.outcome.verdict.rules for passage in gate.passages if passage.outcome] == [
            ("names",),
            ("names",),
            (),
        ]


async def test_a_name_of_an_agency_that_is_only_watched_lets_nothing_pass(tmp_path: Path) -> None:
    """With `enforce` the rules act on senders of these agencies, whatever other name they write."""
    watched = SCOPED + "enforce: [DOA]\n"
    async with Sink() as sink, open_gate(tmp_path, sink, watched) as gate:
        for lines in ((JO, "From: x@dphhs.example.gov"), ("x@dphhs.example.gov", "From: x@dphhs.example.gov")):
            await gate.by_smtp(letter(*lines))
            await gate.by_milter(letter(*lines))
        found = [passage.outcome.verdict.action for passage in gate.passages if passage.outcome]
        assert found == ["hold", "hold", "relay", "relay"]


async def test_only_a_sender_who_is_separate_by_every_name_is(send: Any, gate: Gate) -> None:
    """One person's mail to each of many counts together, whatever From it bears."""
    count = partial(gate.store.call, views.list_mailings)
    for start in (0, 1300):
        await send(letter(NOREPLY, f"From: {NOREPLY}", to=MANY[start : start + 1300]))
    assert [mailing.counts.users for mailing in count()] == [1300, 1300]
    found = [await send(letter(JO, f"From: {NOREPLY}", to=MANY[start : start + 1300])) for start in (0, 1300)]
    assert found == ["relay", "hold"]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("127.0.0.1", ["relay", "relay"]),
        ("127.0.0.0/8", ["relay", "relay"]),
        ("192.0.2.0/28", ["relay", "hold"]),
        ("::1", ["relay", "hold"]),
    ],
)
@pytest.mark.parametrize("by", ["smtp", "milter"])
async def test_what_comes_from_a_separate_network_is_a_mailing_a_message(
    tmp_path: Path, network: str, expected: list[str], by: str
) -> None:
    """Scanners, monitoring: whatever names they write."""
    rules = SCOPED.replace(f"separate: [{NOREPLY}]", f'separate: [{NOREPLY}, {{network: "{network}"}}]')
    async with Sink() as sink, open_gate(tmp_path, sink, rules) as gate:
        for start in (0, 1300):
            scan = letter("", f"From: {JO}", to=MANY[start : start + 1300])
            await (gate.by_smtp if by == "smtp" else gate.by_milter)(scan)
        assert [each.outcome.verdict.action for each in gate.passages if each.outcome] == expected


BOUNCES = "board-bounces@example.gov"
DESIGNATED = [
    ("relay", (HEAD, f"From: {HEAD}")),
    ("relay", (HEAD, f"From: {NEWS}")),  # lent
    ("relay", (HEAD, f"From: {HEAD}", f"Sender: {BOUNCES}")),  # the list's own
    ("hold", (JO, f"From: {HEAD}")),
    ("hold", ("", f"From: {HEAD}")),
    ("hold", (HEAD, f"From: {JO}")),
    ("hold", (BOUNCES, f"From: {HEAD}")),
]


@pytest.mark.parametrize(("verdict", "head"), DESIGNATED)
async def test_a_lists_senders_are_known_by_more_than_from(tmp_path: Path, verdict: str, head: tuple[str, ...]) -> None:
    """Clause C8: an address in From alone is no designated sender's."""
    rules = SCOPED.replace("agencies: {over: 1}}\n", "agencies: {over: 1}}\n    unless: {designated: true}\n", 1)
    rules = rules.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")
    async with Sink() as sink, open_gate(tmp_path, sink, rules) as gate:
        await gate.by_smtp(letter(*head, to=[BOARD]))
        outcome = gate.passages[0].outcome
        assert outcome and outcome.verdict.action == verdict
