"""Print the part of requirements.txt that a running gate needs, hashes and all: deploy/requirements.txt is it.

    python tools/run_requirements.py > deploy/requirements.txt

Which packages these are is read from what is installed here: `make requirements` calls this with an environment that
has all of requirements.txt.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[1]
_EXTRAS = ("postgres", "ldap", "cloud", "console", "otel")
_BLOCK = re.compile(r"^([a-z0-9][\w.-]*)==.*\n(?: +--hash=.*\n)+", re.MULTILINE)
_HEAD = "# What a running gate needs, of requirements.txt: made by tools/run_requirements.py.\n"


def needed() -> set[str]:
    """Return the names of all packages that a gate with every extra needs, directly or by others."""
    found: set[str] = set()
    waiting = list(_of_project())
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in found:
            found.add(name)
        waiting += [each for each in _of_package(name, wanted.extras) if canonicalize_name(each.name) not in found]
    return found


def _of_project() -> Iterator[Requirement]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    yield from map(Requirement, [*project["dependencies"], *(each for name in _EXTRAS for each in extras[name])])


def _of_package(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield what a package needs with these extras, on any of the Pythons and systems that its markers name."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return  # for another Python or system, and so not among what is pinned
    for line in lines:
        requirement = Requirement(line)
        marker = str(requirement.marker or "")
        of_extras = set(re.findall(r"extra == ['\"]([\w.-]+)['\"]", marker))
        if not of_extras or of_extras & {canonicalize_name(extra) for extra in extras}:
            yield requirement


def main() -> None:
    """Print the pins of what is needed, in their order."""
    wanted = needed()
    blocks = {
        canonicalize_name(found[1]): found[0] for found in _BLOCK.finditer((_ROOT / "requirements.txt").read_text())
    }
    print(_HEAD + "".join(text for name, text in blocks.items() if name in wanted), end="")


if __name__ == "__main__":
    main()
