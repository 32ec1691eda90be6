"""Make two tables of the directory's entries: address -> user, and user -> agency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from gatekeeper.address import normalise
from gatekeeper.directory.domains import Domains
from gatekeeper.lib.immutable import immutable

_MOST_ADDRESSES = 20  # of one person; more are most likely several persons, who would count as one


@immutable
class Entry:
    """One row of the directory: an address, its user, and the user's agency where that is not the domain's."""

    address: str
    user: str = ""  # an address or any other name; "" where the address is the user
    agency: str | None = None
    groups: tuple[str, ...] = ()  # groups of senders that the user is in


@dataclass(slots=True)
class EntryTables:
    """The tables of all known people, by normalised address or name."""

    names: dict[str, str] = field(default_factory=dict)  # address -> user, each user among the addresses
    agencies: dict[str, str | None] = field(default_factory=dict)  # user -> agency id
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # user -> groups, sorted
    problems: list[str] = field(default_factory=list)


def read_entries(entries: Iterable[Entry], domains: Domains, lists: Container[str]) -> EntryTables:
    """Build the tables: follow each address to its user, and each user to an agency.

    Where no entry of a user states an agency, the user's own domain decides, else the domain of one of the user's
    addresses. Where an address is also a list, the list counts.

    Args: `lists` are the lists' addresses, normalised.
    """
    people, entries = EntryTables(), tuple(entries)
    rows = _rows(entries, domains, lists, people)
    claims = {address: user for address, user, _ in rows}
    for address, _, agency in rows:
        user = _follow(address, claims, people)
        people.agencies[user] = people.agencies.get(user) or agency
    for address, _, _ in rows:
        _fill_agency(address, people, domains)
    for entry in entries:
        if entry.groups and (name := people.names.get(normalise(entry.address))):
            people.groups[name] = tuple(sorted({*people.groups.get(name, ()), *entry.groups}))
    many = Counter(people.names[address] for address in claims)
    people.problems += [
        f"user {user} has {number} addresses: if these are not one person, mend the user column"
        for user, number in many.items()
        if number > _MOST_ADDRESSES
    ]
    return people


def _rows(
    entries: Iterable[Entry], domains: Domains, lists: Container[str], people: EntryTables
) -> list[tuple[str, str, str | None]]:
    """Return address, user and agency of each entry, normalised."""
    rows = []
    for entry in entries:
        address = normalise(entry.address)
        user = _user_name(entry.user, domains) if entry.user else address
        if address not in lists:
            rows.append((address, user, entry.agency))
        elif user != address:
            people.problems.append(f"{address} is a list, and by an entry {user}'s address: it counts as the list")
    return rows


def _user_name(user: str, domains: Domains) -> str:
    _, at, domain = normalise(user).rpartition("@")
    return normalise(user, internal=bool(at) and domains.place(domain)[0])


def _follow(address: str, claims: Mapping[str, str], people: EntryTables) -> str:
    """Return the last user of a chain, and note that user for each address on the way. No address is followed twice."""
    path: dict[str, None] = {}
    name = address
    while name not in path and name not in people.names:
        path[name] = None
        name = claims.get(name, name)
    user = people.names.get(name) or _end_of_chain(name, list(path), people)
    people.names.update(dict.fromkeys(path, user))
    return user


def _end_of_chain(name: str, path: list[str], people: EntryTables) -> str:
    """Return the user at the end of a chain. Of entries that form a circle the alphabetically first is the user."""
    circle = path[path.index(name) :]
    if len(circle) > 1:
        way = " -> ".join([*circle, name])
        people.problems.append(f"entries {way} lead back to themselves: they count as {min(circle)}")
    return min(circle)


def _fill_agency(address: str, people: EntryTables, domains: Domains) -> None:
    user = people.names[address]
    for name in (user, address):
        if people.agencies[user] is None:
            people.agencies[user] = domains.place(name.rpartition("@")[2])[1]
