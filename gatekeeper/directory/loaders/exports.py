"""Read tables that admins export of Exchange and Google Workspace: people with their addresses, groups with members.

What a table is its first row tells (docs/directory.md). Nothing is asked of a server, so no secret is needed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.loaders.csv_table import beginning
from gatekeeper.directory.loaders.ldap_entries import smtp_addresses
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.lib.immutable import immutable

_PEOPLE = ("primarysmtpaddress", "primaryemail")  # of Exchange, of GAM
_MEMBER = ("member", "primarysmtpaddress", "email")
_MEMBERS = ("members", "managers", "owners")  # of a group in one row, as GAM writes them
_AGENCIES = ("agency", "department", "orgunitpath")
_OTHERS = re.compile(r"(?:emailaddresses|aliases|noneditablealiases)(?:\.[0-9]+)?")
_BETWEEN = re.compile(r"[\s,;]+")
_GROUPS = re.compile(r"group|roomlist", re.IGNORECASE)  # of RecipientTypeDetails
_NO_PEOPLE = re.compile(r"contact|guest|publicfolder|discovery|arbitration", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s:\",()<>#|/\\][^\s:\",()<>#|\\]*")  # what may stand in an alias file as it is
_LOST = ("system.object[]", "system.string[]", "microsoft.exchange.data.proxyaddresscollection")
_EVERYBODY = "customer"
_LONGEST_CELL = 64 * 1024 * 1024  # a group's members stand in one cell of GAM
_EXPECTED = (
    "expected a first row with PrimarySmtpAddress or primaryEmail (people), with group and member (a row a member), or "
    "with email and members (a row a group)"
)

Row = Mapping[str, str]


@immutable
class ExportedPerson:
    """One person: the addresses, the first of which names them, and what the column of agencies says."""

    addresses: tuple[str, ...]
    agency: str = ""


@dataclass(slots=True)
class Exports:
    """What tables say. Args: `agency` is the column with the agency, "" for the usual ones; `enabled` leaves out who
    is suspended.
    """

    agency: str = ""
    enabled: bool = False
    people: list[ExportedPerson] = field(default_factory=list)
    lists: dict[str, dict[str, None]] = field(default_factory=dict)  # a group's address -> its members, in order
    errors: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _for_everybody: list[str] = field(default_factory=list)

    def read(self, path: Path, text: str) -> None:
        """Read one table. Mistakes go to `errors` as `file:line: text`."""
        try:
            header, rows = _table(path, text)
            _READERS[_kind(path, header)](self, rows)
        except DirectoryError as error:
            self.errors += error.problems

    def finish(self) -> None:
        """Let groups that everybody is in have everybody. Call it once, after all tables."""
        for group in self._for_everybody:
            self.lists[group] |= dict.fromkeys(person.addresses[0] for person in self.people)

    def rows(self) -> list[dict[str, str]]:
        """Return a row of each address of each person."""
        return [
            {"address": address, "user": person.addresses[0], "agency": person.agency}
            for person in self.people
            for address in person.addresses
        ]

    def alias_lines(self) -> list[str]:
        """Return the groups as lines of an alias file; what cannot stand in one goes to `problems`."""
        lines = []
        for group, members in self.lists.items():
            strange = [each for each in (group, *members) if not _PLAIN.fullmatch(each)]
            plain = [each for each in members if each not in strange]
            self.problems += [f"{group}: {each!r} cannot stand in an alias file: left out" for each in strange]
            self.problems += [] if members else [f"{group} has no members: left out"]
            if plain and group not in strange:
                lines.append(f"{group}: " + ",\n  ".join(plain))
        return lines

    def _read_people(self, rows: Iterable[tuple[str, Row]]) -> None:
        for place, row in rows:
            kind = row.get("recipienttypedetails", "")
            addresses = self._addresses(place, row)
            is_off = "true" in (row.get("suspended", "").lower(), row.get("archived", "").lower())
            if not addresses or (self.enabled and is_off):
                continue
            if _GROUPS.search(kind):
                self.lists |= {other: {addresses[0]: None} for other in addresses[1:] if other not in self.lists}
            elif not _NO_PEOPLE.search(kind):
                self.people.append(ExportedPerson(addresses, self._agency(row)))

    def _addresses(self, place: str, row: Row) -> tuple[str, ...]:
        primary = next(row[name] for name in _PEOPLE if name in row)
        others = [each for name, cell in row.items() if _OTHERS.fullmatch(name) for each in _BETWEEN.split(cell)]
        if lost := next((each for each in others if each.lower() in _LOST), ""):
            self.errors.append(
                f"{place}: {lost} in the place of addresses: join them in the export (docs/directory.md)"
            )
        if not is_valid(primary):
            self.problems += [f"{place}: {primary!r} is no address: left out"] if primary else []
            return ()
        found = {normalise(each): each for each in (primary, *smtp_addresses(others)) if is_valid(each)}
        return tuple(found.values())

    def _agency(self, row: Row) -> str:
        names = [self.agency.lower()] if self.agency else _AGENCIES
        return next((row[name] for name in names if row.get(name)), "")

    def _read_members(self, rows: Iterable[tuple[str, Row]]) -> None:
        for place, row in rows:
            member = next((row[name] for name in _MEMBER if row.get(name)), "")
            if row.get("type", "").lower() == _EVERYBODY:
                self._group(place, row["group"], ())
                self._for_everybody.append(row["group"])
            else:
                self._group(place, row["group"], [member] if member else [])

    def _read_groups(self, rows: Iterable[tuple[str, Row]]) -> None:
        for place, row in rows:
            members = [each for name in _MEMBERS for each in _BETWEEN.split(row.get(name, "")) if each]
            self._group(place, row["email"], [each for each in members if not each.isdigit()])  # beside it, how many

    def _group(self, place: str, group: str, members: Sequence[str]) -> None:
        if not is_valid(group):
            self.problems.append(f"{place}: {group!r} is no address of a group: left out")
            return
        taken = self.lists.setdefault(group, {})
        for member in members:
            if is_valid(member):
                taken[member] = None
            else:
                self.problems.append(f"{place}: {member!r} is no address of a member: not counted")


_READERS = {"people": Exports._read_people, "members": Exports._read_members, "groups": Exports._read_groups}


def _kind(path: Path, header: Sequence[str]) -> str:
    names = set(header)
    if "group" in names and names & set(_MEMBER):
        return "members"
    if names & set(_PEOPLE):
        return "people"
    if "email" in names and names & set(_MEMBERS):
        return "groups"
    raise DirectoryError([f"{path}:1: {_EXPECTED}"])


def _table(path: Path, text: str) -> tuple[list[str], Iterator[tuple[str, Row]]]:
    """Return the names of the columns, in small letters, and the rows with where they stand."""
    csv.field_size_limit(_LONGEST_CELL)
    start, separator = beginning(text, {*_PEOPLE, "group", "email"})
    skipped = text.count("\n", 0, start)
    reader = csv.reader(io.StringIO(text[start:], newline=""), strict=True, delimiter=separator)

    def lines() -> Iterator[tuple[str, list[str]]]:
        try:
            for cells in reader:
                yield f"{path}:{reader.line_num + skipped}", cells
        except csv.Error as error:
            raise DirectoryError(
                [f"{path}:{reader.line_num + skipped}: {error}: expected a table (RFC 4180)"]
            ) from None

    table = lines()
    header = [name.strip().lower() for name in next(table, ("", []))[1]]
    return header, _rows(header, table)


def _rows(header: Sequence[str], lines: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, Row]]:
    for place, cells in lines:
        if any(cells) and len(cells) != len(header):
            raise DirectoryError([f"{place}: {len(cells)} values: expected {len(header)}: half a file?"])
        if any(cells):
            yield place, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
