"""Many patterns sought at one go: none is missed, most are passed over, and no text makes it slow."""

from __future__ import annotations

import random
import time

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.rules.matching import pattern_set as pattern_set
from gatekeeper.rules.matching.pattern_set import PatternSet
from gatekeeper.rules.matching.patterns import read_glob, read_regex

patterns = st.one_of(
    st.text("aßé*?.", max_size=6).map(read_glob),
    st.sampled_from(["^a", "a$", "^$", "(?i)SS", "[aé]{2}", ".", r"\.", "(?P<x>a)|b", "a|"]).map(read_regex),
)


@given(st.lists(patterns, max_size=8), st.text("aAßéSs.\n", max_size=8))
@example([read_regex("a{300}$")], "a" * 300)
def test_what_is_found_has_come_through(many, text):
    through = PatternSet(many).candidates(text)
    assert {place for place, each in enumerate(many) if each.found_in(text)} <= set(through)


def test_few_come_through_that_are_not_found():
    many = [*(read_glob(f"*offer {number} *") for number in range(100))]
    many += [read_regex(f"invoice {number}$") for number in range(100)]
    assert PatternSet(many).candidates("Your invoice 17") == [117]
    assert PatternSet(many).candidates("an OFFER 17 for you") == [17]
    assert PatternSet(many).candidates("Open enrolment") == []


@pytest.mark.parametrize("failure", ["search", "compile"])
def test_a_set_that_fails_lets_all_through(monkeypatch, failure):
    """RE2 tells a set that ran out of memory and a text in which nothing is found by the same answer."""

    class Failing(re2.Set):
        def Match(self, text):
            return None

        def Compile(self):
            if failure == "compile":
                raise re2.error("failed to compile Set")
            super().Compile()

    monkeypatch.setattr(pattern_set.re2, "Set", Failing)
    assert PatternSet([read_regex("a"), read_glob("b*"), read_regex("c")]).candidates("bc") == [1, 0, 2]


def test_a_text_made_to_be_slow_is_not_much_slower_than_pattern_by_pattern():
    """Each text has the words in an order of its own, so that a set's automaton meets a new state at every octet."""
    dice = random.Random(5)
    words = ["".join(dice.choices("abc", k=3)) for _ in range(40)]
    many = [read_regex(f"^.*{'.*'.join(dice.sample(words, 3))}.*$") for _ in range(100)]
    texts = [" ".join(dice.choices(words, k=60)) for _ in range(12)]
    one_by_one = _seconds(lambda text: [each.found_in(text) for each in many], texts)
    assert _seconds(PatternSet(many).candidates, texts) < 100 * one_by_one
    assert PatternSet(many).candidates("longer " * 40) == list(range(100))  # of which there is no telling


def _seconds(look, texts):
    begin = time.process_time()
    for text in texts:
        look(text)
    return time.process_time() - begin
