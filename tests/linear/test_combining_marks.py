"""Marks that combine with a letter are sorted by Unicode's rules, in time that grows with their square: not here."""

import pytest

from gatekeeper.archive.words import words_of
from gatekeeper.message.file_names import saved_name
from tests.linear.growth import grows_too_fast

MARKS = "\u0345\u0315\u0300\u0327\u0334"  # in an order that sorting turns about


@pytest.mark.parametrize("read", [words_of, lambda text: saved_name(f"{text}.pdf", "file")], ids=["words", "name"])
def test_time_is_linear_in_the_marks_of_a_letter(read):
    def make(size):
        text = "a" + MARKS * (size // len(MARKS))
        return lambda: read(text)

    assert not grows_too_fast(make)


def test_words_do_not_change_where_their_marks_are_read_in_pieces():
    text = "Ångström " + "e" + MARKS[1:] * 500 + "té ﬁn " + "会" * 150
    assert words_of(text) == ["angstrom", "ete", "fin", *["会"] * 150]
