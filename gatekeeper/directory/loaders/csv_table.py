"""Read CSV files with one row an address: columns address, user, agency and group.

Cells are separated by commas, semicolons (as Excel writes in countries with a decimal comma) or tabs ("Unicode Text").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.entries import Entry

_COLUMNS = ("address", "user", "agency", "group")
_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)  # Excel writes and reads it as the first line
_TYPE_LINE = re.compile(r"#TYPE [^\n]*\n")  # PowerShell's Export-Csv
_SHOWN = 20  # problems of one server that are shown
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# What spreadsheets and databases write into an empty cell: thousands of rows with such a user are not one person.
_NOBODY = frozenset({"n/a", "na", "null", "(null)", "nil", "none", "nan", "undefined", "-", "--", "0", ".", "?"})

Row = Mapping[str, str]
PlacedEntry = tuple[Entry, str]  # an entry, and where it stands: "file:line" or "name: row N"


class EntryTable:
    """The entries of CSV files and servers; rows of files that contradict each other are errors."""

    def __init__(self, agencies: Collection[str]) -> None:
        """Args: `agencies` are the ids that rows may name."""
        self.entries: list[Entry] = []
        self.errors: list[str] = []
        self._agencies = agencies
        self._rows: dict[str, tuple[Entry, str]] = {}  # address -> the row and where it stands
        self._stated: dict[str, tuple[str, str]] = {}  # user -> the agency and where it is stated

    def read(self, path: Path, text: str) -> list[PlacedEntry]:
        """Read one file and return its entries, for `take`. Mistakes go to `errors` as `file:line: text`."""
        rows: list[PlacedEntry] = []
        start, separator = beginning(text, frozenset({"address"}))
        skipped = text.count("\n", 0, start)
        reader = csv.reader(io.StringIO(text[start:], newline=""), strict=True, delimiter=separator)
        try:
            header = _without_last([name.strip().lower() for name in next(reader, [])])
            if problem := _header_problem(header):
                self.errors.append(f"{path}:{1 + skipped}: {problem}")
                return rows
            for cells in reader:
                place = f"{path}:{reader.line_num + skipped}"
                rows += self._read_row(place, header, [cell.strip() for cell in cells])
        except csv.Error as error:
            place = f"{path}:{reader.line_num + skipped}"
            self.errors.append(f"{place}: {error}: expected comma-separated values (RFC 4180)")
        return rows

    def take(self, rows: Iterable[PlacedEntry]) -> None:
        """Add the rows of a file. Rows that contradict others go to `errors`."""
        for entry, place in rows:
            self._add(entry, place)

    def take_rows(self, rows: Iterable[PlacedEntry]) -> list[str]:
        """Add the rows of a server without those that contradict others. Returns the problems of these."""
        before = len(self.errors)
        self.take(rows)
        return self._withdraw_errors(before)

    def read_rows(self, name: str, rows: Iterable[Row]) -> tuple[list[PlacedEntry], list[str]]:
        """Read rows of a server, for `take_rows`.

        Returns the entries, and the problems of rows that were left out: nobody here can correct a server's rows.
        """
        before = len(self.errors)
        found: list[PlacedEntry] = []
        for number, row in enumerate(rows, 1):
            known = {column: row.get(column, "") for column in _COLUMNS}
            if known["agency"] not in self._agencies:
                known["agency"] = ""  # unknown agency: the domain decides
            found += self._read_row(f"{name}: row {number}", list(known), list(known.values()))
        return found, self._withdraw_errors(before)

    def _withdraw_errors(self, before: int) -> list[str]:
        """Remove the errors noted since `before`. Returns the first of them, and how many more there are."""
        wrong = self.errors[before:]
        del self.errors[before:]
        return [*wrong[:_SHOWN], *([f"and {len(wrong) - _SHOWN} more rows like these"] if len(wrong) > _SHOWN else [])]

    def _read_row(self, place: str, header: list[str], cells: list[str]) -> list[PlacedEntry]:
        """Return the entry of a row; [] where the row is empty or wrong."""
        if not any(cells):
            return []
        cells = [*cells[: len(header)], *_without_last(cells[len(header) :])]  # a spreadsheet may have empty columns
        if len(cells) != len(header):
            self.errors.append(f"{place}: {len(cells)} values: expected {len(header)} ({', '.join(header)})")
            return []
        row = dict(zip(header, cells, strict=True))
        problems = list(self._row_problems(row))
        self.errors.extend(f"{place}: {problem}" for problem in problems)
        if problems:
            return []
        groups = tuple(row.get("group", "").split())
        return [(Entry(row["address"], row.get("user", ""), row.get("agency") or None, groups), place)]

    def _row_problems(self, row: Row) -> Iterator[str]:
        address, user, agency = (row.get(column, "") for column in _COLUMNS[:3])
        if not is_valid(address):
            yield f"address {address!r}: expected an address such as jo@example.gov"
        if "@" in user and not is_valid(user):
            yield f"user {user!r}: expected an address, or a name without @"
        if user and (user.casefold() in _NOBODY or user.startswith("#") or not user.isprintable()):
            yield f"user {user!r} would make one person of many: leave it empty where the address is the user"
        if agency and agency not in self._agencies:
            known = ", ".join(self._agencies) or "none: add agencies to the rules"
            yield f"agency {agency!r} is not in the rules: expected one of {known}"
        for group in row.get("group", "").split():
            if not _GROUP.fullmatch(group):
                yield f"group {group!r}: expected words of letters, digits and . _ -, with blanks between them"

    def _add(self, entry: Entry, place: str) -> None:
        address = normalise(entry.address)
        first, first_place = self._rows.setdefault(address, (entry, place))
        if first is not entry:
            self._compare(entry, first, place, first_place)
            return
        self.entries.append(entry)
        if entry.agency:
            self._state(normalise(entry.user) or address, entry.agency, place)

    def _compare(self, entry: Entry, first: Entry, place: str, first_place: str) -> None:
        same_user = normalise(entry.user or entry.address) == normalise(first.user or first.address)
        if not same_user or (entry.agency, entry.groups) != (first.agency, first.groups):
            self.errors.append(
                f"{place}: {entry.address} has another user, agency or group at {first_place}: keep one of them"
            )

    def _state(self, user: str, agency: str, place: str) -> None:
        stated, stated_at = self._stated.setdefault(user, (agency, place))
        if agency != stated:
            self.errors.append(f"{place}: user {user} is in agency {agency} here, and in {stated} at {stated_at}")


def beginning(text: str, names: AbstractSet[str]) -> tuple[int, str]:
    """Return where the first row begins, behind what Excel and PowerShell put before it, and the separator of cells.

    Args: `names` are names of columns, in small letters, of which the first row has one.
    """
    start = found.end() if (found := _TYPE_LINE.match(text)) else 0
    if found := _SEPARATOR_LINE.match(text, start):
        return found.end(), found[1]
    first = text[start:].partition("\n")[0]
    return start, next((each for each in _SEPARATORS if not names.isdisjoint(_names(first, each))), ",")


def _without_last(cells: list[str]) -> list[str]:
    """Return the cells without the empty ones at the end."""
    end = max((number for number, cell in enumerate(cells, 1) if cell), default=0)
    return cells[:end]


def _names(line: str, separator: str) -> list[str]:
    return [name.strip().strip('"').strip().lower() for name in line.split(separator)]


def _header_problem(header: list[str]) -> str:
    """Return what is wrong with the first row; "" where nothing is."""
    expected = f"expected a first row with the columns {', '.join(_COLUMNS)}"
    if "address" not in header:
        return f"no column address: {expected}, with commas, semicolons or tabs between them"
    if unknown := [name for name in header if name not in _COLUMNS]:
        return f"unknown column {unknown[0]!r}: {expected}"
    return f"a column twice: {expected}" if len(set(header)) < len(header) else ""
