"""Which clause of which policy is tested by what: read from the tests, where each names the clauses it is about.

A test names a clause in its docstring, in a remark, or in a text of its own: `(policy M2)`, `# T7`, `cite: C8`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

TESTS = Path(__file__).parent
POLICIES = {"M": 9, "S": 5, "C": 10, "T": 10, "D": 6}  # clauses by policy
CLAUSES = tuple(f"{letter}{number}" for letter, last in POLICIES.items() for number in range(1, last + 1))
LEDGER = ("M1", "M2", "M3", "M5", "M8", "S1", "S2", "S3", "S4", "S5", "C3", "C8", "C10", "T7", "T8")  # of the ledger
_NAMED = re.compile(r"(?<![\w.@\"'$-])(?:[MSCTD]\d{1,2})(?![\w@-]|\.\w)")


def clauses_of_tests(folder: Path = TESTS) -> Mapping[str, tuple[str, ...]]:
    """The tests that name each clause, as `file::test`; those of no test are left out."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(set(folder.glob("**/test_*.py")) - {TESTS / "test_clauses.py"}):
        for name, text in _tests(path.read_text(encoding="utf-8")):
            for clause in sorted(set(_NAMED.findall(text)) & set(CLAUSES)):
                found[clause].append(f"{path.relative_to(folder)}::{name}")
    return {clause: tuple(found[clause]) for clause in CLAUSES if clause in found}


def _tests(source: str) -> Iterator[tuple[str, str]]:
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield node.name, "\n".join(lines[first - 1 : node.end_lineno])


def listing() -> Iterator[str]:
    """A line a clause, with how many tests name it and the first of them."""
    found = clauses_of_tests()
    for clause in CLAUSES:
        tests = found.get(clause, ())
        shown = ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")
        yield f"{clause:<4} {len(tests):>3}  {shown or 'no test names it'}"
