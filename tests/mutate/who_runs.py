"""Which test files run which lines: asked once, by coverage.py, of tests that run the program in their own process."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".mutate"
ASKED = (
    *("message", "rules", "delivery", "pipeline", "ledger", "store", "background", "policy", "audit"),
    *("server", "smtp", "console", "cli", "outbox", "notices", "directory", "api", "ops"),
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


def note(name: str) -> None:
    """Run a test file, and keep which lines it runs. On SQLite alone: the lines of Postgres are few."""
    from coverage import Coverage

    coverage = Coverage(data_file=None, source_pkgs=["gatekeeper"], config_file=False, concurrency=["thread"])
    coverage.start()
    began = time.monotonic()
    code = pytest.main([name, "-q", "-k", "not postgres", "-p", "no:cacheprovider", "-p", "no:xdist"])
    coverage.stop()
    data = coverage.get_data()
    lines = {os.path.relpath(path, ROOT): sorted(data.lines(path) or ()) for path in data.measured_files()}
    said = {"seconds": time.monotonic() - began, "passes": int(code) == 0, "lines": lines}
    noted(name).write_text(json.dumps(said))


class WhoRuns:
    """What was noted of all test files."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lines: dict[str, dict[str, set[int]]] = {}  # module -> test file -> lines
        for name in test_files():
            said = json.loads(noted(name).read_text()) if noted(name).exists() else {"passes": False}
            if said["passes"]:
                self.seconds[name] = said["seconds"]
                for module, lines in said["lines"].items():
                    self._lines.setdefault(module, {})[name] = set(lines)

    def of(self, module: str, first: int, last: int) -> list[str]:
        """Return files whose tests run one of the lines, the likeliest to notice first."""
        known = self._lines.get(module, {})
        imported = set.intersection(*known.values()) if known else set()  # run by whoever imports the module
        asked = set(range(first, last + 1))
        found = [name for name, lines in known.items() if (lines - imported) & asked] or list(known)
        stem = Path(module).stem
        found.sort(key=lambda name: (stem not in name, self.seconds[name]))
        return found

    def first_of(self, names: list[str], seconds: float) -> int:
        """Return how many of the files are run in about so many seconds."""
        number = 0
        while number < len(names) and seconds > 0:
            seconds -= self.seconds[names[number]]
            number += 1
        return number
