"""One load: the files that a ruleset names, read into one snapshot, or all their errors at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from gatekeeper.address import normalise
from gatekeeper.audience import Consent, Directory
from gatekeeper.rules import ConsentSource, DirectorySpec, ListSpec, Ruleset

from .aliases import Aliases
from .files import Reader
from .listing import read_list
from .problems import DirectoryError, MissingFile
from .sorting import Sorted, sort_aliases
from .table import Table


def load(ruleset: Ruleset) -> Directory:
    """Read everything that the ruleset says about who is who, and build the snapshot.

    Blocks, for a second or two with hundreds of thousands of addresses: call it in a thread. `digest` of what comes
    back tells whether anything has changed since another load; `problems` is what an admin should know and the gate
    can live with. Raises DirectoryError with all errors of all files as `file:line: text`.
    """
    files = _Files(ruleset)
    files.read()
    if errors := [*files.errors, *files.table.errors, *files.aliases.errors]:
        raise DirectoryError(errors)
    aliased = sort_aliases(files.aliases.found.values(), files.table.entries, Directory(files.domains, ruleset.domains))
    return Directory(
        agencies=files.domains,
        domains=ruleset.domains,
        entries=[*files.table.entries, *aliased.entries],
        lists=_lists(files, aliased),
        complete=any(spec.complete for spec in ruleset.directory),
        problems=[*files.problems, *files.aliases.problems, *aliased.problems],
        digest=files.reader.digest,
        files=files.reader.paths,
        groups=ruleset.groups,
        consent=files.consent,
        mail_domain=next(iter(_exact(ruleset.domains)), ""),  # named by an admin only: a guess might cross agencies
    )


def unchanged(ruleset: Ruleset, directory: Directory) -> bool:
    """True where the files hold what they held when `load` made the directory of the ruleset; only reads them.

    False for a directory with sources that are no files.
    """
    if any(spec.path is None for spec in ruleset.directory):
        return False
    reader = _Files(ruleset).reader
    for path in directory.files:
        try:
            reader.read(path)
        except MissingFile:  # it was missing then, or the digest says so
            continue
        except DirectoryError:
            return False
    return reader.digest == directory.digest


def _lists(files: _Files, aliased: Sorted) -> dict[str, list[str]]:
    """Lists of the rules and of alias files; one that is in both has the members of both."""
    lists = {normalise(address): list(members) for address, members in files.lists.items()}
    for address, members in aliased.lists.items():
        lists.setdefault(address, []).extend(members)
    return lists


class _Files:
    """What the files of one ruleset hold, with their errors."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.domains = {name: agency.domains for name, agency in ruleset.agencies.items()}
        self.consent: Consent | None = None
        about = (ruleset.domains, ruleset.directory, dict(ruleset.lists), dict(ruleset.groups), ruleset.consent)
        self.reader = Reader(f"{self.domains} {about}")
        self.table = Table(ruleset.agencies)
        self.aliases = Aliases(self.reader)
        self.lists: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.problems: list[str] = []
        self._ruleset = ruleset

    def read(self) -> None:
        """Read all of them; the error of one is kept, so that those of the others are found as well."""
        for spec in self._ruleset.directory:
            try:
                self._read_source(spec)
            except DirectoryError as error:
                self.errors.extend(error.problems)
        for address, listed in self._ruleset.lists.items():
            try:
                self._read_list(address, listed)
            except DirectoryError as error:
                self.errors.extend(error.problems)
        if consents := self._ruleset.consent:
            given = self._addresses(consents.given) if consents.given else None
            self.consent = Consent(given, self._addresses(consents.suppressed))

    def _read_source(self, spec: DirectorySpec) -> None:
        if spec.kind not in ("csv", "aliases") or spec.path is None:
            raise DirectoryError([f"directory: {spec.kind} cannot be read yet: expected csv or aliases, with a path"])
        path = self._ruleset.folder / spec.path
        if spec.kind == "csv":
            self.table.take(path, self.reader.read(path))
        else:
            self.aliases.take(path, self._mail_domain(path))

    def _read_list(self, address: str, listed: ListSpec) -> None:
        members = list(listed.members)
        if listed.file is not None:
            path = self._ruleset.folder / listed.file
            found, errors = read_list(path, self.reader.read(path))
            members += found
            self.errors += errors
        elif not members and normalise(address) not in self.aliases.found:
            self.problems.append(f"list {address} has no file, members or alias: mail to it counts as to one address")
            return
        self.lists[address] = members

    def _addresses(self, sources: Iterable[ConsentSource]) -> frozenset[str]:
        """Everybody whom the sources of a consent list name."""
        found: set[str] = set()
        for source in sources:
            try:
                found.update(self._consent_source(source))
            except DirectoryError as error:
                self.errors.extend(error.problems)
        return frozenset(found)

    def _consent_source(self, source: ConsentSource) -> list[str]:
        if source.file is None:
            raise DirectoryError(["consent: sql cannot be read yet: expected file"])
        path = self._ruleset.folder / source.file
        found, errors = read_list(path, self.reader.read(path))
        self.errors += errors
        return found

    def _mail_domain(self, path: Path) -> str:
        """The domain that the mail host adds to names without one: the first that is inside and no pattern."""
        named = _exact(self._ruleset.domains)
        domain = next(chain(named, *map(_exact, self.domains.values())), None)
        if domain is None:
            raise DirectoryError([f"{path}: its names have no domain: list the mail host's own first under domains:"])
        if not named:
            advice = "if the mail host adds another, list that first under domains:"
            self.problems.append(f"{path}: names without a domain count as @{domain}; {advice}")
        return domain


def _exact(patterns: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if not pattern.startswith("*.")]
