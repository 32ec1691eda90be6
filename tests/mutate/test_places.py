"""What `make mutate` changes, and what it leaves alone."""

from __future__ import annotations

import ast

from tests.mutate.places import mutated, places_in

SOURCE = '''\
"""Words about the module, of 3 lines."""
__all__ = ["f"]
LIMIT: int = 5


def f(a: "str", b: int = 2) -> bool:
    """Return True."""
    log.info("said %s", 7)
    if a == b and not a < 3:
        raise ValueError(f"no {a} of 9")
    a.count += 1
    return g(a, b)
'''


def found():
    return [(place.kind, place.words) for place in places_in(ast.parse(SOURCE))]


def test_every_kind_is_found_and_what_is_said_is_not():
    assert found() == [
        ("constant", "5: 6"),
        ("constant", "2: 3"),
        ("boolean", "a == b and (not a < 3): Or"),
        ("comparison", "a == b: NotEq"),
        ("boolean", "not a < 3: without not"),
        ("comparison", "a < 3: LtE"),
        ("constant", "3: 4"),
        ("statement", "raise ValueError(f'no {a} of 9'): removed"),
        ("statement", "a.count += 1: removed"),
        ("constant", "1: 2"),
        ("arguments", "g(a, b): swapped"),
    ]


def test_a_module_has_one_place_changed_and_can_be_run():
    texts = [ast.unparse(mutated(SOURCE, number)) for number in range(len(found()))]
    assert len(set(texts)) == len(texts) and all(compile(text, "x", "exec") for text in texts)
    assert "LIMIT: int = 6" in texts[0] and "return g(b, a)" in texts[-1] and "raise" not in texts[7]


def test_places_with_the_same_words_are_told_apart():
    places = places_in(ast.parse("a = 1\nb = 1\nc = 2\n"))
    assert [(place.words, place.copy) for place in places] == [("1: 2", 0), ("1: 2", 1), ("2: 3", 0)]
