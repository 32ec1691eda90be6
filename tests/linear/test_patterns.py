"""No regular expression on a message's way takes more than linear time: `re` lets nothing else run meanwhile."""

import ast
import inspect
import re

import pytest

from tests.linear.growth import doubled, grows_too_fast
from tests.linear.patterns import inputs, path_modules, used_patterns

PATTERNS = used_patterns()


def slow_inputs(used):
    """The inputs that the pattern takes too long for, and how much too long."""
    for first, again, last in inputs(used.pattern):
        make = doubled(first, again, last)
        found = grows_too_fast(lambda size, make=make: used.work(make(size)))
        if found:
            yield f"{first!r} + {again!r} * n + {last!r}: {found}"


@pytest.mark.parametrize("used", PATTERNS.values(), ids=PATTERNS)
def test_time_is_linear(used):
    assert next(slow_inputs(used), None) is None


@pytest.mark.parametrize(
    ("source", "method"),
    [
        (r"\s*\([^()]*\)\s*\Z", "sub"),  # blanks are tried again from each of them
        (r"[a-z]+@", "search"),
        (r"(?:a|a)*b", "match"),  # doubles with each letter
        (r"x\s*\s*y", "match"),
        (r'a[^"]*;', "findall"),
    ],
)
def test_slow_patterns_are_found(source, method):
    used = type(next(iter(PATTERNS.values())))("sample", re.compile(source), method)
    assert next(slow_inputs(used), None)


def test_every_pattern_is_compiled_where_it_is_seen():
    """A pattern within a call would not be looked at here."""
    inline = []
    for module in path_modules():
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr not in ("compile", "escape"):
                    inline.append(f"{module.__name__}:{node.lineno}")
    assert not inline
