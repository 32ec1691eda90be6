"""Decide what an alias is: another address of a person, a person whose mail goes elsewhere, or a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gatekeeper.address import normalise
from gatekeeper.directory.entries import Entry
from gatekeeper.directory.loaders.aliases import Alias
from gatekeeper.directory.snapshot import Directory


@dataclass(slots=True)
class SortedAliases:
    """Aliases by what they are: entries and lists."""

    entries: list[Entry] = field(default_factory=list)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)  # normalised address -> members
    problems: list[str] = field(default_factory=list)


def sort_aliases(aliases: Iterable[Alias], rows: Iterable[Entry], domains: Directory) -> SortedAliases:
    """Sort aliases into entries and lists.

    An alias with one inside member is another address of that person or list. An alias with several members is a list.
    An alias with no member, itself or one external is a user: somebody inside who reads mail elsewhere, or a program.

    Args: `rows` are the entries of CSV files, `domains` is a directory that knows domains only.
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
    """Return the problem of an alias that a CSV file gives to another user.

    The CSV file counts: it is made for this.
    """
    return f"{alias.place}: {alias.address} is {other} here, and {user} in a CSV file, which counts"
