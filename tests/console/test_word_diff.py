"""What two texts have in common and what not, by words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.console.word_diff import GONE, NEW, SAME, changes

SOME = ["open", "enrolment", "starts", "on", "monday", "friday", "\n"]
WORDS = st.lists(st.sampled_from(SOME), max_size=40).map(" ".join)


def words(found, *kinds):
    return " ".join(each.text for each in found if each.kind in kinds).split()


@given(WORDS, WORDS)
def test_both_texts_can_be_read_from_what_changed(before, after):
    found, is_cut = changes(before, after)
    assert words(found, SAME, GONE) == before.split() and words(found, SAME, NEW) == after.split() and not is_cut


def test_a_very_long_text_is_cut_and_that_is_said():
    assert changes("a " * 3_000, "b " * 10)[1] is True
