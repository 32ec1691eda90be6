"""What destroys, or lets it be destroyed, is done only by who has shown a short while ago who they are (CONSOLE.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gatekeeper.api
import gatekeeper.console
from gatekeeper.ledger.records_service import RecordsService

# Verbs of the ledger that a page may not call for somebody who signed in long ago.
# Verbs of the ledger that a page may not call for somebody who signed in long ago.
GUARDED = {"release_preserve", "sign_disposal"}
FOLDERS = [Path(package.__file__).parent for package in (gatekeeper.console, gatekeeper.api)]


def unguarded(text: str) -> Iterator[str]:
    """Functions that call one of these verbs, and do not begin with `require_fresh`."""
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            named = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
            called = {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            if named & GUARDED and "require_fresh" not in called:
                yield function.name


def test_the_verbs_are_there():
    assert all(hasattr(RecordsService, name) for name in GUARDED)


@pytest.mark.parametrize(
    ("guard", "found"), [("", ["release"]), ("    require_fresh(desk, request, '/records/holds/H-1')\n", [])]
)
def test_the_test_finds_a_page_that_does_not_ask(guard, found):
    page = f"def release(desk, request):\n{guard}    return desk.ledger.release_preserve(1, CIO, 'over')\n"
    assert list(unguarded(page)) == found


def test_no_page_and_no_route_releases_a_hold_or_signs_a_disposal_without_it():
    paths = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
    assert len(paths) > 40
    assert [(path.name, name) for path in paths for name in unguarded(path.read_text())] == []
