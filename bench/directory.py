"""How long a large directory takes to load, and how much memory it and its loading take.

    python -m bench.directory [--people 200000] [--only csv aliases ldap]

Each source is loaded by a process of its own, twice: at first, and after a change of one line, while the first copy is
in force, as a gate does. Then what has not changed is looked at, as happens every two seconds. `ldap` takes a slapd.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatekeeper.directory.loaders.load import load, unchanged
from gatekeeper.directory.loaders.server_cache import ServerCopies
from gatekeeper.directory.loaders.sources import SourceHistory
from gatekeeper.rules import parse_ruleset
from tests.peers.slapd import PASSWORD, READER, SUFFIX, Slapd

_AGENCIES = 40
_HEAD = "version: 1\ndomains: [example.gov]\nrules: []\nagencies:\n" + "".join(
    f"  A{number}: {{name: Agency {number}, domains: [a{number}.example.gov]}}\n" for number in range(_AGENCIES)
)
_LISTED = 1_000  # people of one list; everybody is in one
Change = Callable[[], None]


def _address(number: int) -> str:
    return f"firstname.lastname{number}@a{number % _AGENCIES}.example.gov"


@contextmanager
def _csv(folder: Path, people: int) -> Iterator[str]:
    """Two addresses a person, half of which state an agency."""
    rows = ["address,user,agency"]
    for number in range(people):
        agency = f"A{number % _AGENCIES}" if number % 2 else ""
        rows += [f"{_address(number)},E{number},{agency}", f"f{number}@example.gov,E{number},{agency}"]
    (folder / "source").write_text("\n".join(rows))
    yield "{csv: source}"


@contextmanager
def _aliases(folder: Path, people: int) -> Iterator[str]:
    """An alias a person, and lists of a thousand."""
    lines = [f"f{number}: {_address(number)}" for number in range(people)]
    for first in range(0, people, _LISTED):
        lines.append(f"list{first}: " + ", ".join(map(_address, range(first, min(people, first + _LISTED)))))
    (folder / "source").write_text("\n".join(lines) + "\n")
    yield "{aliases: source}"


@contextmanager
def _ldap(folder: Path, people: int) -> Iterator[str]:
    """An entry a person with two addresses, and groups of a thousand."""
    lines = []
    for number in range(people):
        lines += [f"dn: uid=u{number},{SUFFIX}", "objectClass: inetOrgPerson", f"uid: u{number}", "cn: x", "sn: x"]
        lines += [f"mail: {_address(number)}", f"mail: f{number}@example.gov", ""]
    for first in range(0, people, _LISTED):
        lines += [f"dn: cn=g{first},{SUFFIX}", "objectClass: groupOfNames", f"cn: g{first}"]
        lines += [f"description: list{first}@example.gov"]
        lines += [f"member: uid=u{number},{SUFFIX}" for number in range(first, min(people, first + _LISTED))] + [""]
    (folder / "password").write_text(PASSWORD)
    with Slapd(folder, "\n".join(lines)) as server:
        what = "address: mail description, members: member, user: uid, refresh: 1ms"
        url = f"ldap://127.0.0.1:{server.port}"
        yield f"{{ldap: '{url}', base: '{SUFFIX}', bind: '{READER}', password_file: password, {what}}}"


SOURCES = {"csv": _csv, "aliases": _aliases, "ldap": _ldap}


def measure(folder: Path) -> dict[str, float]:
    """Load the source of a folder twice, and look whether it has changed; return seconds and megabytes."""
    ruleset = parse_ruleset((folder / "rules.yaml").read_text(), "rules.yaml", folder)
    copies, history, source = ServerCopies(), SourceHistory(), folder / "source"
    before, began = _megabytes(), time.perf_counter()
    directory = load(ruleset, copies, history)
    found = {"first": time.perf_counter() - began, "resident": _megabytes() - before}
    if source.exists():
        source.write_text(source.read_text() + "\n")
    began = time.perf_counter()
    replaced = load(ruleset, copies, history)
    found |= {"again": time.perf_counter() - began, "peak": _most_megabytes() - before}
    del directory
    began = time.perf_counter()
    assert source.exists() is False or unchanged(ruleset, replaced, copies, history)
    return found | {"look": time.perf_counter() - began}


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _most_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _measured(name: str, people: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        with SOURCES[name](folder, people) as source:
            (folder / "rules.yaml").write_text(f"{_HEAD}directory: [{source}]\n")
            words = [sys.executable, "-m", "bench.directory", "--measure", home]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--only", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    print(
        "| source | load s | load again s | look s | holds MB | peak MB |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name in given.only:
        found = _measured(name, given.people)
        seconds = " | ".join(f"{found[each]:.1f}" for each in ("first", "again", "look"))
        print(
            f"| {name}, {given.people:,} people | {seconds} | {found['resident']:.0f} | {found['peak']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
