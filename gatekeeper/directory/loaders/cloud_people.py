"""Make rows of what a cloud's directory says: people with their addresses, and groups as lists of their members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.loaders.server_cache import ServerAnswer
from gatekeeper.lib.immutable import immutable

Row = dict[str, str]
ALL, NONE = "all", "none"


@immutable
class Group:
    """A group that mail can be sent to."""

    key: str  # how the service names it
    addresses: tuple[str, ...]  # the one it is known by first


@dataclass(slots=True)
class CloudPeople:
    """People and lists, as they are read. Args: `options` of the source."""

    options: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)  # key of a person -> their first address
    _rows: list[Row] = field(default_factory=list)
    _empty: list[str] = field(default_factory=list)  # lists without members that can be counted
    _unknown: dict[str, int] = field(default_factory=dict)  # list -> how many of its members have no address

    def add_person(self, key: str, addresses: Iterable[str], attributes: Mapping[str, Any]) -> None:
        """Take in a person: every address is a row."""
        own = list(dict.fromkeys(each for each in addresses if is_valid(each)))
        if not own:
            return
        self.addresses[key] = own[0]
        user = next(iter(self._values("user", attributes)), "") or own[0]
        agency = next(iter(self._values("agency", attributes)), "")
        group = " ".join(self._values("group", attributes))
        self._rows += [{"address": each, "user": user, "agency": agency, "group": group} for each in own]

    def wanted(self, groups: Iterable[Group]) -> list[Group]:
        """Return the groups whose members are to be read; those that are named and not there are noted.

        The others are known addresses that count as one.
        """
        named = self.options.get("groups", ALL)
        if named == NONE:
            return []
        found = [group for group in groups if any(map(is_valid, group.addresses))]
        if named == ALL:
            return found
        asked = {normalise(address): address for address in named.split()}
        chosen = [group for group in found if asked.keys() & set(map(normalise, group.addresses))]
        here = {normalise(address) for group in chosen for address in group.addresses}
        for group in found:
            if group not in chosen:
                own = [each for each in group.addresses if is_valid(each)]
                self._rows += [{"address": each, "user": own[0]} for each in own]
        self.notes += [f"no group has the address {asked[each]}" for each in sorted(asked.keys() - here)]
        return chosen

    def add_list(self, group: Group, members: Iterable[str], unknown: int = 0) -> None:
        """Take in a list; the group's other addresses lead to the first. Args: `unknown` members have no address."""
        first, *others = [each for each in group.addresses if is_valid(each)]
        found = sorted(set(members) - {first})
        if unknown:
            self._unknown[first] = unknown
        if not found:
            self._empty.append(first)
        self._rows.append({"address": first, "members": "\n".join(found)})
        self._rows += [{"address": other, "members": first} for other in others]

    def answer(self) -> ServerAnswer:
        """Return the rows of all people and lists."""
        return ServerAnswer(self._rows, (*self.notes, *self._notes_of_lists()))

    def _notes_of_lists(self) -> Iterator[str]:
        """Yield one note of all members without an address, and one of all lists without members."""
        if self._unknown:
            number, groups, first = sum(self._unknown.values()), len(self._unknown), min(self._unknown)
            yield f"members without an address are not counted: {number} in {groups} groups, such as {first}"
        if self._empty:
            yield f"groups without members count as one address: {len(self._empty)}, such as {min(self._empty)}"

    def _values(self, option: str, attributes: Mapping[str, Any]) -> list[str]:
        return texts_at(attributes, self.options[option]) if option in self.options else []


def texts_at(found: object, path: str) -> list[str]:
    """Return the texts at a path, such as `department` or `organizations.department`.

    Of a list of objects the one that is `primary` is first.
    """
    values = [found]
    for name in path.split("."):
        values = [deeper for value in values if isinstance(value, dict) for deeper in _each(value.get(name))]
    return [str(value).strip() for value in values if isinstance(value, str | int) and str(value).strip()]


def _each(value: object) -> list[object]:
    if not isinstance(value, list):
        return [value]
    return sorted(value, key=lambda one: not (isinstance(one, dict) and one.get("primary") is True))
