"""The notes about permits are told apart from the text of a reason."""

from __future__ import annotations

import pytest

from gatekeeper.rules.permit_notes import PermitNote, split_notes


@pytest.mark.parametrize(
    ("text", "bare", "notes"),
    [
        ("It reaches 5 users.", "It reaches 5 users.", ()),
        ("It (really) reaches.", "It (really) reaches.", ()),
        (
            "It reaches 5. (not covered by P-3: 5 users, it allows 4; its last day is over; not covered by P-12: x)",
            "It reaches 5.",
            (PermitNote("P-3", ("5 users, it allows 4", "its last day is over")), PermitNote("P-12", ("x",))),
        ),
        ("Say (not covered by P-3: a) more", "Say (not covered by P-3: a) more", ()),
    ],
)
def test_notes_are_told_apart(text, bare, notes):
    assert split_notes(text) == (bare, notes)
