"""Which tests run which lines: asked once, by coverage.py, of tests that run the program in their own process."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".mutate"
ROOMS = ("store", "pipeline", "ledger", "rules", "message", "delivery")  # in which places are changed
ASKED = (
    *("message", "rules", "delivery", "pipeline", "ledger", "store", "background", "policy", "audit"),
    *("server", "smtp", "console", "cli", "outbox", "notices", "directory", "api", "ops"),
    *("archive", "reports", "milter"),
)
_STARTS_GATES = re.compile(r"^from tests\.peers\.gate import .*\bGate\b", re.M)  # which do not see a change


def test_files() -> list[str]:
    """Return the files that are asked."""
    paths = [path for name in ASKED for path in sorted((ROOT / "tests" / name).rglob("test_*.py"))]
    return [str(path.relative_to(ROOT)) for path in paths if not _STARTS_GATES.search(path.read_text())]


def noted(name: str) -> Path:
    """Return where what a test file runs is kept."""
    return FOLDER / "runs" / (name.replace("/", ".") + ".json")


def is_noted(name: str) -> bool:
    """Return True where that is known, of the file as it is now."""
    kept = noted(name)
    return kept.exists() and kept.stat().st_mtime > (ROOT / name).stat().st_mtime


class _Contexts:
    """Tells coverage.py which test runs, and keeps how long each takes."""

    def __init__(self, coverage: Any) -> None:
        self.seconds: dict[str, float] = {}
        self._coverage = coverage

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - began
            self._coverage.switch_context("")


def note(name: str) -> None:
    """Run a test file, and keep which of its tests run which lines. On SQLite alone: the lines of Postgres are few."""
    from coverage import Coverage

    coverage = Coverage(data_file=None, source_pkgs=["gatekeeper"], config_file=False, concurrency=["thread"])
    contexts = _Contexts(coverage)
    coverage.start()
    code = pytest.main([name, "-q", "-k", "not postgres", "-p", "no:cacheprovider", "-p", "no:xdist"], [contexts])
    coverage.stop()
    data = coverage.get_data()
    places = {test: place for place, test in enumerate(contexts.seconds)}
    lines = {
        os.path.relpath(path, ROOT): {
            line: [places[test] for test in tests if test] for line, tests in data.contexts_by_lineno(path).items()
        }
        for path in data.measured_files()
        if os.path.relpath(path, ROOT).startswith(tuple(f"gatekeeper/{room}/" for room in ROOMS))
    }
    noted(name).write_text(json.dumps({"passes": int(code) == 0, "tests": contexts.seconds, "lines": lines}))


class WhoRuns:
    """What was noted of all test files."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # of a test, or of all tests of a file
        self._tests: dict[str, dict[int, list[str]]] = {}  # module -> line -> tests
        self._files: dict[str, set[str]] = {}  # module -> files that import it
        for name in test_files():
            said = json.loads(noted(name).read_text()) if noted(name).exists() else {"passes": False}
            if said["passes"]:
                self._take_in(name, said)

    def _take_in(self, name: str, said: dict[str, Any]) -> None:
        tests = list(said["tests"])
        self.seconds |= {**said["tests"], name: sum(said["tests"].values())}
        for module, lines in said["lines"].items():
            self._files.setdefault(module, set()).add(name)
            of_lines = self._tests.setdefault(module, {})
            for line, places in lines.items():
                of_lines.setdefault(int(line), []).extend(tests[place] for place in places)

    def of(self, module: str, first: int, last: int) -> list[str]:
        """Return what may notice a change of these lines, the likeliest first: tests that run one of them, then files
        whose tests do, for what a test has from a fixture of another; all that import the module where none does.
        """
        known = self._tests.get(module, {})
        tests = {test for line in range(first, last + 1) for test in known.get(line, ())}
        files = {test.partition("::")[0] for test in tests} or self._files.get(module, set())
        return [*self._in_order(module, tests), *self._in_order(module, files)]

    def _in_order(self, module: str, names: Iterable[str]) -> list[str]:
        stem = Path(module).stem
        return sorted(names, key=lambda name: (stem not in name, self.seconds[name], name))

    def first_of(self, names: list[str], seconds: float) -> int:
        """Return how many of these are run in about so many seconds."""
        number = 0
        while number < len(names) and seconds > 0:
            seconds -= self.seconds[names[number]]
            number += 1
        return number
