"""Read alias files in the syntax of Postfix, aliases(5): `name: target, target`, nested, with `:include:` files.

Lines of virtual(5), `address target, target`, may stand among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gatekeeper.address import is_valid, is_valid_domain, normalise
from gatekeeper.directory.loaders.text_files import DirectoryError, MissingFile, TextFileReader, numbered_lines
from gatekeeper.lib.immutable import immutable

_DEEPEST_INCLUDE = 50

_LINE = re.compile(r'(?P<name>"(?>[^"\\]|\\.)*+"|[^\s:"]+)\s*:(?P<targets>.*)', re.DOTALL)
_VIRTUAL = re.compile(r"(?P<name>[^\s:\"]+@[^\s:\"]+)\s+(?P<targets>\S.*)", re.DOTALL)
_OF_A_DOMAIN = re.compile(r"(@?)([^\s:\"@]+)[\s:].*", re.DOTALL)
_WITH_A_TEXT = (":fail:", ":defer:", ":unknown:")  # of Exim; the text behind it may have commas
_REMARK = re.compile(r"\([^()\"]*\)")  # a comment of RFC 5322
_TARGET = re.compile(r'(?:"(?>[^"\\]|\\.)*+"|[^,"]|")+')  # a comma in quotes ends no target
_QUOTED_WHOLE = re.compile(r'"((?>[^"\\]|\\.)*+)"')
_IN_BRACKETS = re.compile(r".*<(?P<address>[^<>]*)>\s*", re.DOTALL)
_INCLUDE = ":include:"


@immutable
class Alias:
    """One alias: its address and its members, all with a domain."""

    address: str
    members: tuple[str, ...]
    place: str  # file:line


@immutable
class _Position:
    """Where a right-hand side stands, and what it is read with."""

    place: str  # file:line
    domain: str  # domain that names without one get
    include_path: tuple[Path, ...]  # the alias file and the files included on the way here
    seen: set[Path]  # files included for this alias already: reading one twice would add nobody


class Aliases:
    """A reader of alias files, with the aliases of all files so far."""

    def __init__(self, reader: TextFileReader) -> None:
        self.found: dict[str, Alias] = {}  # by normalised address
        self.errors: list[str] = []
        self.problems: list[str] = []
        self._reader = reader

    def read(self, path: Path, domain: str) -> list[Alias]:
        """Read one file and return its aliases, for `take`. Names without a domain get `domain`.

        Mistakes go to `errors`; targets that the gate cannot follow, such as commands and files, go to `problems`.
        Raises DirectoryError where the file cannot be read.
        """
        read: list[Alias] = []
        content = self._reader.read(path)
        for line, text in _logical_lines(content):
            position = _Position(f"{path}:{line}", domain, (path,), set())
            match = _LINE.fullmatch(text.strip()) or _VIRTUAL.fullmatch(text.strip())
            if match is None and (whole := _domain_of(text.strip(), content)):
                self._report(position, f"{whole} is a domain: what is sent to it is not followed")
            elif match is None:
                self._reject(position, "expected name: target, target; or blanks first, to go on with a line")
            elif address := self._address(match["name"], position):
                members = dict.fromkeys(self._members(match["targets"], position))
                read.append(Alias(address, tuple(members), position.place))
        return read

    def take(self, aliases: Iterable[Alias]) -> None:
        """Add the aliases of a file."""
        for alias in aliases:
            first = self.found.setdefault(normalise(alias.address), alias)
            if first is not alias:
                self.problems.append(f"{alias.place}: alias {alias.address} again: the one at {first.place} counts")

    def _reject(self, position: _Position, text: str) -> None:
        self.errors.append(f"{position.place}: {text}")

    def _report(self, position: _Position, text: str) -> None:
        self.problems.append(f"{position.place}: {text}")

    def _members(self, targets: str, position: _Position) -> Iterator[str]:
        """Yield the addresses of a right-hand side."""
        for target in filter(None, map(str.strip, _TARGET.findall(targets))):
            plain = _plain(target)
            if plain.lower().startswith(_INCLUDE):
                yield from self._included(plain[len(_INCLUDE) :].strip(), position)
            elif plain.startswith(("|", "/", ":")):
                kind = {"|": "a command", "/": "a file"}.get(plain[0], "no address")
                self._report(position, f"{plain} is {kind}: whom it reaches is not counted")
                if plain.lower().startswith(_WITH_A_TEXT):
                    return
            elif address := self._address(target, position):
                yield address

    def _included(self, name: str, position: _Position) -> Iterator[str]:
        path = position.include_path[0].parent / name
        if path in position.include_path or len(position.include_path) > _DEEPEST_INCLUDE:
            self._report(position, f"included file {path} includes itself: it is read once")
        elif path not in position.seen:
            position.seen.add(path)
            for line, targets in _meaningful_lines(self._text(path, position)):
                yield from self._members(
                    targets, replace(position, place=f"{path}:{line}", include_path=(*position.include_path, path))
                )

    def _text(self, path: Path, position: _Position) -> str:
        """Return the text of an included file; "" where it cannot be read."""
        try:
            return self._reader.read(path)
        except MissingFile:  # the mail host cannot read the file either
            self._report(position, f"included file {path} is missing: nobody is counted for it")
        except DirectoryError as error:
            self.errors.extend(error.problems)
        return ""

    def _address(self, name: str, position: _Position) -> str:
        """Return the address that a name or target means; "" after an error."""
        bracketed = _IN_BRACKETS.fullmatch(name)
        plain = name if '"' in name else _REMARK.sub("", name)
        address = (bracketed["address"] if bracketed else plain).strip().removeprefix("\\")
        full = address if "@" in address and not address.endswith('"') else f"{address}@{position.domain}"
        if is_valid(full):
            return full
        self._reject(position, f"{name!r}: expected a name or an address, with commas between them")
        return ""


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield logical lines with the number of their first line.

    A line that starts with a blank continues the one before.
    """
    begun: list[str] = []
    start = 0
    for number, line in _meaningful_lines(text):
        if line[0] in " \t" and begun:
            begun.append(line)
            continue
        if begun:
            yield start, "\n".join(begun)
        begun, start = [line], number
    if begun:
        yield start, "\n".join(begun)


def _meaningful_lines(text: str) -> Iterator[tuple[int, str]]:
    """Return lines with their numbers, without empty lines and comments."""
    return (
        (number, line) for number, line in numbered_lines(text) if line.strip() and not line.lstrip().startswith("#")
    )


def _domain_of(line: str, content: str) -> str:
    """Return the domain that a line of virtual(5) is about, as `@domain target` or `domain anything`; "" for none.

    Args: `content` of the file, in which there are addresses of a domain that is declared by such a line.
    """
    found = _OF_A_DOMAIN.fullmatch(line)
    if found and is_valid_domain(found[2]) and (found[1] or f"@{found[2]}".lower() in content.lower()):
        return found[2]
    return ""


def _plain(target: str) -> str:
    """Return a target without the quotes around it: "|command with blanks"."""
    quoted = _QUOTED_WHOLE.fullmatch(target)
    return quoted[1].replace("\\", "") if quoted else target
