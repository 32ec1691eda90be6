"""`like` and `matches`: what they mean, and that their time is linear."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.rules.matching.patterns import PatternError, read_glob, read_regex

letters = st.text("abAB*?.", max_size=8)


@given(letters, st.text("abAB.\n", max_size=8))
def test_a_glob_is_what_the_naive_expression_is(glob, text):
    naive = "".join({"*": ".*", "?": "."}.get(letter) or re.escape(letter) for letter in glob)
    assert read_glob(glob).found_in(text) == bool(re.fullmatch(f"(?is){naive}", text))


@pytest.mark.parametrize(
    ("glob", "text", "found"),
    [("STRASSE*", "Straße 1", True), ("É?", "éa", True), ("a*a", "a", False), ("", "", True), ("a.b", "axb", False)],
)
def test_a_glob(glob, text, found):
    assert read_glob(glob).found_in(text) is found


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", r"(a)\1", "(?=a)"])
def test_an_expression_that_is_none(pattern):
    with pytest.raises(PatternError):
        read_regex(pattern)


def seconds(pattern, text):
    begin = time.process_time()
    for _ in range(20):
        pattern.found_in(text)
    return time.process_time() - begin


@pytest.mark.parametrize("pattern", [read_regex("(a+)+$"), read_glob("*a*a*a*a*b"), read_glob("*a?*a?*b")])
def test_ten_times_the_text_takes_about_ten_times_the_time(pattern):
    """A backtracking matcher would need powers of it."""
    assert seconds(pattern, "a" * 200_000 + "!") < 40 * max(seconds(pattern, "a" * 20_000 + "!"), 0.001)
