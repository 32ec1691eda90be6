"""Change places of the program, chosen at random by a seed, one at a time; name those of which no test sees it.

    make mutate                                   600 places of the rooms below
    make mutate MUTATE_FLAGS="--only gatekeeper/store/jobs.py --places 1000"

Each change is tried in a process of its own, forked from this one, in memory: no file is touched. Its tests are those
that run the changed line, on SQLite. What was tried is in .mutate/; begun again, it goes on. mutmut and cosmic-ray were
looked at: neither removes statements nor swaps arguments, nor runs for a change only the tests that run its line.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from itertools import zip_longest
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutate.places import Place, mutated, places_in
from tests.mutate.who_runs import FOLDER, ROOMS, ROOT, WhoRuns, is_noted, note, test_files

NOT = ("store/migrations/", "store/db/schema.py", "look_alikes.py")  # declarations, and a table
Work = tuple[Any, Callable[[], int], float]  # its name, what is to be done, and in how many seconds at most
Tried = tuple[str, Place, bool, object]  # a change, whether it was seen, and how pytest ended
_NOTHING_FAILED = (0, 4, 5)  # pytest passed, was called wrongly, or found no tests
_BESIDE = 2  # changes that are tried at once
_SECONDS, _MORE_SECONDS = 10.0, 60.0  # of tests of one change; and of more where these do not see it
_AHEAD = (  # modules of others, imported once for all changes
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql", "psycopg", "alembic", "hypothesis", "re2"),
    *("pytest_asyncio", "aiosmtpd.smtp", "dns.resolver", "yaml", "holidays", "jsonschema", "uvloop"),
)


def chosen(seed: int, number: int, only: str) -> list[tuple[str, Place]]:
    """Return places at random: of each room and kind as many as of any other, as far as there are.

    A place that is chosen stays so when others are changed.
    """
    found: dict[tuple[str, str], list[tuple[str, Place]]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / "gatekeeper" / room).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name.startswith(only) and not any(each in name for each in NOT):
                for place in places_in(ast.parse(path.read_text())):
                    found.setdefault((room, place.kind), []).append((name, place))
    for group in found.values():
        group.sort(key=lambda each: sha256(f"{seed} {key_of(*each)}".encode()).digest())
    in_turn = [each for turn in zip_longest(*found.values()) for each in turn if each]
    return in_turn[:number]


def key_of(name: str, place: Place) -> str:
    """Return what a change is known by when it is tried again."""
    return f"{name} {place.kind} {place.words}" + (f" ({place.copy})" if place.copy else "")


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, number: int) -> None:
        super().__init__(fullname, path)
        self._number = number

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text()
        return compile(mutated(source, self._number), self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, with one place changed."""

    def __init__(self, path: Path, number: int) -> None:
        self._path, self._number = path, number
        self._is_package = path.name == "__init__.py"
        parts = path.relative_to(ROOT).with_suffix("").parts
        self._name = ".".join(parts[:-1] if self._is_package else parts)

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Changed(fullname, str(self._path), self._number)
        inner = [str(self._path.parent)] if self._is_package else None
        return spec_from_file_location(fullname, self._path, loader=loader, submodule_search_locations=inner)


def forked(log: Path, work: Callable[[], int]) -> int:
    """Fork a process that does the work, and return its id."""
    if child := os.fork():
        return child
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os._exit(work())


def try_out(name: str, place: Place, tests: list[str]) -> int:
    """Run the tests with one place changed; return how pytest ended."""
    sys.meta_path.insert(0, _Finder(ROOT / name, place.number))
    words = ["-x", "-k", "not postgres", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(pytest.main([*tests, *words]))


def ask(name: str) -> int:
    """Note which lines the tests of a file run."""
    note(name)
    return 0


def main() -> None:
    """Try changes until all are tried or the time is over."""
    reading = argparse.ArgumentParser()
    reading.add_argument("--places", type=int, default=600)
    reading.add_argument("--seed", type=int, default=1)
    reading.add_argument("--only", default="gatekeeper/", help="a file or folder")
    reading.add_argument("--seconds", type=float, default=1e9, help="after which nothing new is begun")
    reading.add_argument("--again", action="store_true", help="try survivors again, after tests were written")
    given = reading.parse_args()
    FOLDER.mkdir(exist_ok=True)
    end = time.monotonic() + given.seconds  # a third of it at most to ask which tests run what
    for module in _AHEAD:
        importlib.import_module(module)
    (FOLDER / "runs").mkdir(exist_ok=True)
    unasked = deque((name, partial(ask, name), 300.0) for name in test_files() if not is_noted(name))
    for name, how in beside(unasked, end - 0.7 * given.seconds):
        print(f"asked {name}: {how}")
    results = FOLDER / "results.jsonl"
    results.touch()
    known = {each["key"]: each for each in map(json.loads, results.read_text().splitlines())}
    wanted = chosen(given.seed, given.places, given.only)
    left = [each for each in wanted if key_of(*each) not in known or (given.again and not known[key_of(*each)]["seen"])]
    with results.open("a") as file:
        for name, place, seen, how in run(left, end):
            said = {"key": key_of(name, place), "seen": seen, "how": how}
            known[said["key"]] = said
            print(json.dumps(said), file=file, flush=True)
    tell([known[key] for each in wanted if (key := key_of(*each)) in known], len(wanted))


def run(left: list[tuple[str, Place]], end: float) -> Iterator[Tried]:
    """Try changes, first with the tests of a few seconds, then with more; yield what came of each."""
    who, waiting = WhoRuns(), deque[Work]()
    for each in left:
        if names := who.of(each[0], each[1].first, each[1].last):
            waiting.append(_trial(who, each, names, _SECONDS))
        else:
            yield *each, False, "no test runs it"
    for (each, later), code in beside(waiting, end):
        if code == 0 and later:
            waiting.appendleft(_trial(who, each, later, _MORE_SECONDS))
        else:
            yield *each, code not in _NOTHING_FAILED, code


def _trial(who: WhoRuns, each: tuple[str, Place], names: list[str], seconds: float) -> Work:
    """Return a change to be tried with the first of some test files; its name has those that are left for later."""
    number = who.first_of(names, seconds)
    later = names[number:] if seconds == _SECONDS else []
    limit = 40 + 5 * sum(who.seconds[name] for name in names[:number])
    return (each, later), partial(try_out, *each, names[:number]), limit


def beside(waiting: deque[Work], end: float) -> Iterator[tuple[Any, object]]:
    """Do each piece of work in a process of its own, several at once; yield its name, and how it ended.

    Nothing is begun after `end`; what takes too long is ended. Work may be added meanwhile.
    """
    running: dict[int, tuple[Any, float]] = {}
    while waiting or running:
        while waiting and len(running) < _BESIDE and time.monotonic() < end:
            name, do, limit = waiting.popleft()
            running[forked(FOLDER / f"{len(waiting) % 8}.log", do)] = name, time.monotonic() + limit
        if not running:
            return
        time.sleep(0.05)
        for child, (name, until) in list(running.items()):
            found, status = os.waitpid(child, os.WNOHANG)
            if late := not found and time.monotonic() > until:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if found or late:
                del running[child]
                yield name, os.waitstatus_to_exitcode(status) if found else "late"


def tell(tried: list[dict], wanted: int) -> None:
    """Say how many were seen, and which were not."""
    unseen = sorted((each for each in tried if not each["seen"]), key=lambda each: each["key"])
    for each in unseen:
        print(each["key"], f"({each['how']})" if each["how"] else "")
    share = 100 * (1 - len(unseen) / max(1, len(tried)))
    print(f"{len(tried)} of {wanted} places tried, {len(unseen)} changes not seen: {share:.1f} % seen")


if __name__ == "__main__":
    main()
