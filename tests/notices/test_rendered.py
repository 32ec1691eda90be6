"""docs/notices.md has every letter as the gate writes it, and says who is told what."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.notices.texts import KINDS
from tests.notices.situations import LETTERS
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
