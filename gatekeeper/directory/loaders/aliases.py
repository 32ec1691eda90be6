"""Alias files in the syntax of Postfix, aliases(5): `name: target, target`, nested, with `:include:` files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.loaders.text_files import DirectoryError, MissingFile, TextFileReader, numbered_lines
from gatekeeper.lib.immutable import immutable

_DEEPEST_INCLUDE = 50

_LINE = re.compile(r'(?P<name>"(?:[^"\\]|\\.)*+"|[^\s:"]+)\s*:(?P<targets>.*)', re.DOTALL)
_TARGET = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^,"]|")+')  # a comma in quotes ends nothing
_QUOTED_WHOLE = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_IN_BRACKETS = re.compile(r".*<(?P<address>[^<>]*)>\s*", re.DOTALL)
_INCLUDE = ":include:"


@immutable
class Alias:
    """One alias: its address, and what stands behind it, each with its domain."""

    address: str
    members: tuple[str, ...]
    place: str  # file:line


@immutable
class _Spot:
    """Where a right-hand side stands."""

    place: str  # file:line
    domain: str  # what names without one get
    way: tuple[Path, ...]  # from the alias file through included files
    seen: set[Path]  # every file included for this alias: twice would add nobody


class Aliases:
    """The aliases of one or more files."""

    def __init__(self, reader: TextFileReader) -> None:
        self.found: dict[str, Alias] = {}  # by normalised address
        self.errors: list[str] = []
        self.problems: list[str] = []
        self._reader = reader

    def read(self, path: Path, domain: str) -> list[Alias]:
        """Read one file, for `take`; names without a domain get `domain`. Raises DirectoryError: it cannot be read.

        What is wrong goes to `errors`; what the gate cannot follow, as commands and files, to `problems`.
        """
        read: list[Alias] = []
        for line, text in logical_lines(self._reader.read(path)):
            spot = _Spot(f"{path}:{line}", domain, (path,), set())
            match = _LINE.fullmatch(text.strip())
            if match is None:
                self._reject(spot, "expected name: target, target; or blanks first, to go on with a line")
            elif address := self._address(match["name"], spot):
                members = dict.fromkeys(self._members(match["targets"], spot))
                read.append(Alias(address, tuple(members), spot.place))
        return read

    def take(self, aliases: Iterable[Alias]) -> None:
        """Add the aliases of a file."""
        for alias in aliases:
            first = self.found.setdefault(normalise(alias.address), alias)
            if first is not alias:
                self.problems.append(f"{alias.place}: alias {alias.address} again: the one at {first.place} counts")

    def _reject(self, spot: _Spot, text: str) -> None:
        self.errors.append(f"{spot.place}: {text}")

    def _report(self, spot: _Spot, text: str) -> None:
        self.problems.append(f"{spot.place}: {text}")

    def _members(self, targets: str, spot: _Spot) -> Iterator[str]:
        """The addresses of a right-hand side."""
        for target in filter(None, map(str.strip, _TARGET.findall(targets))):
            plain = _plain(target)
            if plain.lower().startswith(_INCLUDE):
                yield from self._included(plain[len(_INCLUDE) :].strip(), spot)
            elif plain.startswith(("|", "/", ":")):
                kind = {"|": "a command", "/": "a file"}.get(plain[0], "no address")
                self._report(spot, f"{plain} is {kind}: whom it reaches is not counted")
            elif address := self._address(target, spot):
                yield address

    def _included(self, name: str, spot: _Spot) -> Iterator[str]:
        path = spot.way[0].parent / name
        if path in spot.way or len(spot.way) > _DEEPEST_INCLUDE:
            self._report(spot, f"included file {path} includes itself: it is read once")
        elif path not in spot.seen:
            spot.seen.add(path)
            for line, targets in _telling_lines(self._text(path, spot)):
                yield from self._members(targets, replace(spot, place=f"{path}:{line}", way=(*spot.way, path)))

    def _text(self, path: Path, spot: _Spot) -> str:
        """The text of an included file, "" where it cannot be read."""
        try:
            return self._reader.read(path)
        except MissingFile:  # the mail host delivers nothing there either
            self._report(spot, f"included file {path} is missing: nobody is counted for it")
        except DirectoryError as error:
            self.errors.extend(error.problems)
        return ""

    def _address(self, name: str, spot: _Spot) -> str:
        """The address that a name or target means, "" after an error."""
        bracketed = _IN_BRACKETS.fullmatch(name)
        address = (bracketed["address"] if bracketed else name).strip().removeprefix("\\")
        full = address if "@" in address and not address.endswith('"') else f"{address}@{spot.domain}"
        if is_valid(full):
            return full
        self._reject(spot, f"{name!r}: expected a name or an address, with commas between them")
        return ""


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what continues them, by the number of the first; a line that starts with a blank continues."""
    begun: list[str] = []
    start = 0
    for number, line in _telling_lines(text):
        if line[0] in " \t" and begun:
            begun.append(line)
            continue
        if begun:
            yield start, "\n".join(begun)
        begun, start = [line], number
    if begun:
        yield start, "\n".join(begun)


def _telling_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, less empty ones and comments."""
    return (
        (number, line) for number, line in numbered_lines(text) if line.strip() and not line.lstrip().startswith("#")
    )


def _plain(target: str) -> str:
    """A target without the quotes around it: "|command with blanks"."""
    quoted = _QUOTED_WHOLE.fullmatch(target)
    return quoted[1].replace("\\", "") if quoted else target
