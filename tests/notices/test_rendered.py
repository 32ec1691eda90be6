"""docs/notices.md has every letter as the gate writes it, and says who is told what."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.notices.texts import KINDS
from tests.notices.situations import (
    CIO,
    DEPUTY,
    HEAD,
    LETTERS,
    ONE,
    PLANNED,
    Play,
    emergency_declared,
    emergency_to_review,
    still_waiting,
    to,
)
from tests.rendered import NOTICES, notices_page, play

TESTS = Path(__file__).parents[1]


def test_the_page_has_the_letters_as_they_are_written():
    assert NOTICES.read_text(encoding="utf-8") == notices_page(), "stale: run python -m tests.rendered"


@pytest.mark.parametrize("situation", LETTERS, ids=lambda each: each.heading)
def test_a_letter_is_plain_short_and_names_itself(situation):
    """Read by the parser of another program (tests/notices/reading.py), which refuses what is malformed."""
    letter = play(situation.play)
    lines = letter.text.splitlines()
    assert letter.mail["Auto-Submitted"] and letter.mail["From"] == "Gatekeeper <servicedesk@example.gov>"
    assert len(lines) <= 60 and all(len(line) <= 78 for line in lines)
    assert "servicedesk@example.gov, 406-555-0100" in letter.text and "None" not in letter.text
    assert (TESTS / situation.tested).is_file()


def test_no_two_letters_have_one_heading():
    headings = [each.heading for each in LETTERS]
    assert len(headings) == len(set(headings)) and len(KINDS) <= len(headings)


def test_who_appealed_in_vain_is_not_told_that_they_may_appeal():
    text = play(denied_twice).text
    assert "It was appealed before" in text and "you may appeal" not in text


def test_a_sender_reads_that_it_goes_back_to_them_and_an_emergency_that_is_over_is_not_ended():
    assert "goes back to you on" in play(still_waiting).text
    assert "permit revoke" in play(emergency_declared).text
    assert "permit revoke" not in play(emergency_to_review).text


async def denied_twice(folder):
    scene = Play(folder, ONE.replace(", final: true", ""))
    scene.ask("The plans change by law", planned=PLANNED, users=2400)
    scene.service.deny_request(1, DEPUTY, "Not in the week of the election")
    scene.service.submit_again(1, scene.nothing_new(), HEAD, "The law names the day", appeal=True)
    await scene.after()
    scene.letters()
    scene.service.deny_request(1, CIO, "Not then either")
    return to(await scene.after(), HEAD, "Denied")
