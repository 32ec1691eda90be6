"""Listings as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cli.table import table

CELLS = st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), max_size=12)


def test_numbers_stand_to_the_right_and_text_to_the_left():
    rows = [("M-2", "held", "2400 users", 2, "Open enrolment"), ("M-17", "gathering", "40 users", 1, "")]
    assert list(table(rows)) == ["M-2   held       2400 users  2  Open enrolment", "M-17  gathering    40 users  1"]


def test_nothing_is_no_line():
    assert list(table([])) == []


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_each_cell_stands_whole_under_its_like(rows):
    lines = list(table(rows))
    starts = [sum(max(len(row[column]) for row in rows) + 2 for column in range(place)) for place in range(3)]
    for row, line in zip(rows, lines, strict=True):
        for cell, start in zip(row, starts, strict=True):
            width = max(len(other[starts.index(start)]) for other in rows)
            assert line[start : start + width].strip() == cell.strip()
