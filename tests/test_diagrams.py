"""docs/ledger.md shows the lifecycles as they are."""

from __future__ import annotations

import re

import pytest

from tests.diagrams import PAGE, TABLES, diagram, renewed


def test_the_diagrams_are_what_the_tables_say():
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "stale: run python -m tests.diagrams"


@pytest.mark.parametrize("name", TABLES)
def test_a_diagram_has_every_step_of_its_table_and_no_other(name):
    table, states, _ = TABLES[name]
    words = {state.value.replace(" ", "_"): state for state in states}
    drawn = {
        (words[before], act, words[after])
        for before, after, acts in re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram(name), re.MULTILINE)
        for act in acts.split(", ")
    }
    assert drawn == {(before, act, after) for act, moves in table.items() for before, after in moves.items()}


def test_a_stale_page_is_noticed():
    page = PAGE.read_text(encoding="utf-8")
    stale = page.replace("held --> released: approve", "held --> denied: approve")
    assert stale != page and renewed(stale) == page
