"""Read the lists among a server's rows: those that have members."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.address import is_valid
from gatekeeper.directory.loaders.aliases import Alias
from gatekeeper.directory.loaders.server_cache import Rows

_COLUMN = "members"


def split_rows(rows: Rows) -> tuple[Rows, Rows]:
    """Return the rows of lists and the rows of people."""
    return [row for row in rows if row.get(_COLUMN)], [row for row in rows if not row.get(_COLUMN)]


def read_lists(name: str, rows: Rows) -> tuple[list[Alias], list[str]]:
    """Return the lists of a server as aliases, and the problems of what was left out.

    Args: `name` of the server. A row's members are addresses with blanks or line ends between them.
    """
    lists: list[Alias] = []
    problems: list[str] = []
    for row in rows:
        address = row["address"]
        if not is_valid(address):
            problems.append(f"{name}: list {address!r}: expected an address such as all@example.gov")
            continue
        members = row[_COLUMN].split()
        problems += _left_out(f"{name}: list {address}", members)
        lists.append(Alias(address, tuple(filter(is_valid, members)), f"{name}: list {address}"))
    return lists, problems


def _left_out(place: str, members: Iterable[str]) -> list[str]:
    wrong = [member for member in members if not is_valid(member)]
    if not wrong:
        return []
    return [f"{place}: members that are no addresses are not counted: {len(wrong)}, such as {wrong[0]!r}"]
