"""What an alias is to a count: another address of a person, a person whose mail goes elsewhere, or a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatekeeper.address import normalise
from gatekeeper.directory.entries import Entry
from gatekeeper.directory.loaders.aliases import Alias
from gatekeeper.directory.snapshot import Directory


@dataclass(slots=True)
class SortedAliases:
    """Aliases told apart."""

    entries: list[Entry] = field(default_factory=list)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)  # normalised address -> members
    problems: list[str] = field(default_factory=list)


def sort_aliases(aliases: Iterable[Alias], rows: Iterable[Entry], domains: Directory) -> SortedAliases:
    """Tell aliases apart. `rows` are the entries of CSV files, `domains` a directory that knows domains only.

    An alias with one inside address behind it is another address of that person or list. One with several is a list.
    One with none, itself, or one external is a user: somebody of ours who reads mail elsewhere, or a program.
    """
    known = {normalise(row.address): normalise(row.user or row.address) for row in rows}
    result = SortedAliases()
    for alias in aliases:
        address = normalise(alias.address)
        members = {normalise(member) for member in alias.members}
        ours = sorted(each for each in members - {address} if each in known or domains.is_inside(each))
        if len(members) > 1:
            result.lists[address] = alias.members
        elif address not in known:
            result.entries.append(Entry(alias.address, ours[0] if ours else ""))
        elif any(known.get(each, each) != known[address] for each in ours):
            result.problems.append(_contradiction(alias, known[address], ours[0]))
    return result


def _contradiction(alias: Alias, user: str, other: str) -> str:
    """The alias of somebody whom a CSV file knows as another: the CSV file is made for this, and counts."""
    return f"{alias.place}: {alias.address} is {other} here, and {user} in a CSV file, which counts"
