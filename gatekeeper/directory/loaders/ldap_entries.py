"""Make rows of LDAP entries: people with their addresses, and groups as lists of their members."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gatekeeper.address import is_valid
from gatekeeper.lib.immutable import immutable

Row = dict[str, str]
_AROUND_SEPARATORS = re.compile(r"(?<!\\)\s*([,=+])\s*")
_PRIMARY = "SMTP:"  # proxyAddresses: in capitals it is the address that a person sends from


@immutable
class Attributes:
    """The attributes that are read, as the server names them; "" and () for those that are not."""

    address: tuple[str, ...]
    user: str
    agency: str
    group: str
    members: str  # entries that have it are lists


def attributes_of(options: Mapping[str, str]) -> Attributes:
    """Return the attributes that the options of a source name."""
    user, agency, group, members = (options.get(name, "") for name in ("user", "agency", "group", "members"))
    return Attributes(tuple(options.get("address", "mail").split()), user, agency, group, members)


@immutable
class _Group:
    addresses: Sequence[str]  # () for a group that mail cannot be sent to; it may be in others that have one
    members: Sequence[str]  # names of entries, or addresses


@dataclass(slots=True)
class Entries:
    """The entries of one answer."""

    attributes: Attributes
    notes: list[str] = field(default_factory=list)  # what an admin should know of the rows, after `rows`
    _people: list[Row] = field(default_factory=list)
    _addresses: dict[str, str] = field(default_factory=dict)  # name of a person's entry -> their first address
    _groups: dict[str, _Group] = field(default_factory=dict)  # by name of their entry

    @property
    def wanted(self) -> list[str]:
        """The attributes to ask for."""
        attributes = self.attributes
        others = {attributes.user, attributes.agency, attributes.group, attributes.members}
        return sorted({*attributes.address, *others} - {""})

    @property
    def filter(self) -> str:
        """The filter to use where the source has none: entries with an address, and groups."""
        found = [f"({name}=*)" for name in dict.fromkeys((*self.attributes.address, self.attributes.members)) if name]
        return found[0] if len(found) == 1 else f"(|{''.join(found)})"

    def add(self, name: str, attributes: Mapping[str, object]) -> None:
        """Take in an entry by its distinguished name."""
        values = {attribute.lower(): _texts(value) for attribute, value in attributes.items()}
        wanted = self.attributes
        addresses = smtp_addresses([each for attribute in wanted.address for each in values.get(attribute.lower(), ())])
        if members := values.get(wanted.members.lower()):
            self._groups[_same_name(name)] = _Group(addresses, members)
            return
        if wanted.members and addresses:
            self._addresses[_same_name(name)] = addresses[0]
        user = next(iter(values.get(wanted.user.lower()) or addresses), "")
        agency = next(iter(values.get(wanted.agency.lower(), ())), "")
        group = " ".join(values.get(wanted.group.lower(), ()))
        self._people += [{"address": each, "user": user, "agency": agency, "group": group} for each in addresses]

    def rows(self) -> list[Row]:
        """Return the rows: of each person's addresses, and of each list's, whose members have lines of their own."""
        return [*self._people, *(row for group in self._groups.values() for row in self._rows_of_list(group))]

    def _rows_of_list(self, group: _Group) -> Iterator[Row]:
        if not group.addresses:
            return
        first, *others = group.addresses
        members, unknown = self._members(group)
        if unknown:
            self.notes.append(
                f"{unknown} of the members of {first} have no address among the entries that are read: not counted"
            )
        yield {"address": first, "members": "\n".join(members)}
        for other in others:
            yield {"address": other, "members": first}

    def _members(self, group: _Group) -> tuple[list[str], int]:
        """Return the addresses of a list's members, and how many members have none. Groups without an address count
        as their own members, over any number of steps; circles do no harm.
        """
        found: set[str] = set()
        unknown, seen, waiting = 0, set[str](), list(group.members)
        while waiting:
            member = waiting.pop()
            name = _same_name(member)
            if name in seen:
                continue
            seen.add(name)
            nested = self._groups.get(name)
            address = nested.addresses[0] if nested and nested.addresses else self._addresses.get(name)
            if address or is_valid(member):
                found.add(address or member)
            elif nested:
                waiting += nested.members
            else:
                unknown += 1
        return sorted(found - {group.addresses[0]}), unknown


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [str(each).strip() for each in values if each]


def smtp_addresses(values: Sequence[str]) -> list[str]:
    """Return the addresses of an entry, the primary one first."""
    ordered = sorted(values, key=lambda value: not value.startswith(_PRIMARY))
    found = dict.fromkeys(map(_without_kind, ordered))
    return [address for address in found if "@" in address]


def _without_kind(address: str) -> str:
    """Return an address without its kind (proxyAddresses: SMTP:jo@example.gov); "" for kinds other than SMTP."""
    kind, colon, rest = address.partition(":")
    if not colon:
        return address
    return rest if kind.lower() == "smtp" else ""


def _same_name(name: str) -> str:
    """Return a distinguished name as it is compared: without regard to case and to blanks around separators."""
    return _AROUND_SEPARATORS.sub(r"\1", name.casefold())
