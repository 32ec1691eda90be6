"""One load: the files that a ruleset names, read into one snapshot, or all their errors at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path

from gatekeeper.address import normalise
from gatekeeper.audience import Consent, Directory
from gatekeeper.rules import ConsentSource, DirectorySpec, ListSpec, Ruleset

from .aliases import Aliases
from .copies import COPIES, REFRESH, Ask, Copies, Copy
from .files import Reader
from .ldap import ask_ldap
from .listing import read_list
from .own_addresses import own_literals
from .problems import DirectoryError, MissingFile
from .sorting import Sorted, sort_aliases
from .sql import ask_sql
from .table import Table


def load(ruleset: Ruleset, copies: Copies = COPIES) -> Directory:
    """Read everything that the ruleset says about who is who, and build the snapshot.

    Blocks, for a second or two with hundreds of thousands of addresses: call it in a thread. `digest` of what comes
    back tells whether anything has changed since another load; `problems` is what an admin should know and the gate
    can live with. `copies` are what servers said before. Raises DirectoryError with all errors of all files as
    `file:line: text`.
    """
    files = _Files(ruleset, copies)
    files.read()
    if errors := [*files.errors, *files.table.errors, *files.aliases.errors]:
        raise DirectoryError(errors)
    plain = Directory(files.domains, ruleset.domains, outside=ruleset.outside)
    aliased = sort_aliases(files.aliases.found.values(), files.table.entries, plain)
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
        expired=files.expired,
        outside=ruleset.outside,
        own=own_literals(),
        mail_domain=next(iter(_exact(ruleset.domains)), ""),  # named by an admin only: a guess might cross agencies
    )


def unchanged(ruleset: Ruleset, directory: Directory, copies: Copies = COPIES) -> bool:
    """True where files and servers say what they said when `load` made the directory of the ruleset.

    Files are read and nothing is made of them; servers are asked where it is time to.
    """
    files = _Files(ruleset, copies)
    reader = files.reader
    for path in directory.files:
        try:
            reader.read(path)
        except MissingFile:  # it was missing then, or the digest says so
            continue
        except DirectoryError:
            return False
    try:
        files.ask_servers()
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

    def __init__(self, ruleset: Ruleset, copies: Copies) -> None:
        self.domains = {name: agency.domains for name, agency in ruleset.agencies.items()}
        self.consent: Consent | None = None
        self.expired = False  # a server does not answer, and there is no copy to go by
        about = (
            ruleset.domains,
            ruleset.outside,
            ruleset.directory,
            dict(ruleset.lists),
            dict(ruleset.groups),
            ruleset.consent,
        )
        self.reader = Reader(f"{self.domains} {about}")
        self.table = Table(ruleset.agencies)
        self.aliases = Aliases(self.reader)
        self.lists: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.problems: list[str] = []
        self._ruleset, self._copies = ruleset, copies

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
            given, suppressed = (self._addresses(each) for each in (consents.given, consents.suppressed))
            if given is not None and suppressed is not None:
                self.consent = Consent(given if consents.given else None, suppressed)

    def _read_source(self, spec: DirectorySpec) -> None:
        if spec.path is None:
            self._read_server(spec)
            return
        path = self._ruleset.folder / spec.path
        if spec.kind == "csv":
            self.table.take(path, self.reader.read(path))
        else:
            self.aliases.take(path, self._mail_domain(path))

    def ask_servers(self) -> None:
        """Have copies that are due taken anew; raises DirectoryError."""
        for spec in self._ruleset.directory:
            if spec.path is None:
                self._server_copy(spec)
        consents = self._ruleset.consent
        for source in (*consents.given, *consents.suppressed) if consents else ():
            if source.file is None:
                self._consent_in_database(source)

    def _read_server(self, spec: DirectorySpec) -> None:
        name, copy = self._server_copy(spec)
        if copy is None:
            self.expired = True
        elif copy.rows and "address" not in copy.rows[0]:
            raise DirectoryError([f"{name}: no column address: expected address, and any of user, agency, group"])
        else:
            self.problems += self.table.take_rows(name, copy.rows)

    def _server_copy(self, spec: DirectorySpec) -> tuple[str, Copy | None]:
        options = spec.options
        url, password = options["url"], self._secret(options.get("password_file"))
        ask = partial(ask_ldap, url, options, password)
        if spec.kind == "sql":
            ask = partial(ask_sql, url, options["query"], password, self._ruleset.folder)
        name = f"directory {spec.kind} {url}"
        return name, self._copy(name, f"{name} {sorted(options.items())}", ask, spec.refresh, spec.age)

    def _copy(self, name: str, key: str, ask: Ask, refresh: timedelta | None, age: timedelta | None) -> Copy | None:
        """What a server says, or said last; None where that is too old to go by."""
        copy = self._copies.of(f"{self._ruleset.folder} {key}", ask, refresh or REFRESH)
        expired = self._copies.expired(copy, age)
        self.reader.note(f"{key} {copy.digest} {expired} {copy.problem}")
        if copy.problem:
            stands = "what hangs on it cannot be told" if expired else "its last copy stands"
            self.problems.append(f"{name}: {copy.problem}: {stands}")
        return None if expired else copy

    def _secret(self, file: str | Path | None) -> str:
        return self.reader.read(self._ruleset.folder / file).strip() if file else ""

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

    def _addresses(self, sources: Iterable[ConsentSource]) -> frozenset[str] | None:
        """Everybody whom the sources of a consent list name; None where one of them cannot be told."""
        found: set[str] = set()
        told = True
        for source in sources:
            try:
                addresses = self._consent_source(source)
                told = told and addresses is not None
                found.update(addresses or ())
            except DirectoryError as error:
                self.errors.extend(error.problems)
        return frozenset(found) if told else None

    def _consent_source(self, source: ConsentSource) -> list[str] | None:
        if source.file is None:
            return self._consent_in_database(source)
        path = self._ruleset.folder / source.file
        found, errors = read_list(path, self.reader.read(path))
        self.errors += errors
        return found

    def _consent_in_database(self, source: ConsentSource) -> list[str] | None:
        url, password = source.sql or "", self._secret(source.password_file)
        ask = partial(ask_sql, url, source.query, password, self._ruleset.folder)
        name = f"consent sql {url}"
        copy = self._copy(name, f"{name} {source.query}", ask, None, source.age)
        return None if copy is None else [next(iter(row.values()), "") for row in copy.rows]

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
    return [pattern for pattern in patterns if not pattern.startswith(("*.", "["))]
