"""A known file hidden by random structure: what another reader of mail shows of it, the gate lists or marks."""

from __future__ import annotations

import pytest

from gatekeeper.message import read_facts
from tests.message.hiding import encoded, hide, shown_by_python, silent
from tests.peers.node import node


def check_python(first: int, count: int) -> None:
    for seed in range(first, first + count):
        content = hide(seed)
        assert silent(read_facts(content), shown_by_python(content)) == [], (seed, content)


def check_npm(first: int, count: int) -> None:
    with node("message_parsers.js") as ask:
        for seed in range(first, first + count):
            content = hide(seed)
            shown = {reader: [(name, kind) for name, kind in files] for reader, files in ask(encoded(content)).items()}
            assert silent(read_facts(content), shown) == [], (seed, content)


def test_what_is_hidden_differs_and_is_shown_by_most_readers():
    contents = [hide(seed) for seed in range(300)]
    assert len(set(contents)) > 290
    assert sum(any(shown_by_python(content).values()) for content in contents) > 120
    assert sum(not read_facts(content).defects for content in contents) > 100


def test_python_shows_no_file_that_the_gate_does_not():
    check_python(0, 1_000)


def test_npm_shows_no_file_that_the_gate_does_not():
    check_npm(0, 300)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_python_shows_none_of_100_000(part):
    check_python(10_000 * (part + 1), 10_000)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_npm_shows_none_of_20_000(part):
    check_npm(10_000 * (part + 1), 2_000)
