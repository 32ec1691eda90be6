"""Load a snapshot: read all sources that a ruleset names, or report all their errors at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar, cast

from gatekeeper.address import normalise
from gatekeeper.directory.lists import Consent
from gatekeeper.directory.loaders.agency_values import with_agencies
from gatekeeper.directory.loaders.alias_kinds import SortedAliases, sort_aliases
from gatekeeper.directory.loaders.aliases import Alias, Aliases
from gatekeeper.directory.loaders.csv_table import EntryTable, PlacedEntry
from gatekeeper.directory.loaders.own_addresses import own_literals
from gatekeeper.directory.loaders.server_cache import PROCESS_COPIES, ServerCopies, ServerCopy, SourceQuery, SourceTerms
from gatekeeper.directory.loaders.server_lists import read_lists, split_rows
from gatekeeper.directory.loaders.servers import CLOUD, query_of, secret_file_of, terms_of
from gatekeeper.directory.loaders.sources import SourceHistory, SourceReading, SourceSize
from gatekeeper.directory.loaders.sql import ask_sql
from gatekeeper.directory.loaders.text_files import DirectoryError, MissingFile, TextFileReader, read_list
from gatekeeper.directory.snapshot import Directory, DirectoryContent
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.rules import ConsentSource, DirectorySpec, ListSpec, Ruleset

T = TypeVar("T")


def load(ruleset: Ruleset, copies: ServerCopies = PROCESS_COPIES, sources: SourceHistory | None = None) -> Directory:
    """Read all sources of the directory that the ruleset names, and build a snapshot.

    The call blocks, for a second or two with hundreds of thousands of addresses: call it in a thread.

    Args: `copies` are the servers' last answers; `sources` knows how large each source was when it was last good, and a
    new one believes every source.
    Returns a snapshot whose `digest` tells whether anything has changed since another load, and whose `problems` are
    what an admin should know although the gate can work with it.
    Raises DirectoryError with all errors of all files as `file:line: text`.
    """
    sources = sources or SourceHistory()
    files = _Files(ruleset, copies, sources)
    files.read()
    if errors := [*files.errors, *files.table.errors, *files.aliases.errors]:
        raise DirectoryError(errors)
    sources.keep(files.readings.values())
    files.reader.note(sources.mark)
    plain = Directory(DirectoryContent(files.domains, ruleset.domains, ruleset.outside))
    aliased = sort_aliases(files.aliases.found.values(), files.table.entries, plain)
    content = DirectoryContent(
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
        mail_domain=next(iter(_exact(ruleset.domains)), ""),  # only one an admin named: a guess might cross agencies
    )
    return Directory(content)


def unchanged(
    ruleset: Ruleset, directory: Directory, copies: ServerCopies = PROCESS_COPIES, sources: SourceHistory | None = None
) -> bool:
    """Return True where files and servers have the same content as when `load` made the ruleset's directory.

    Files are only read, not parsed; servers are asked where their copy is due. A source that is believed now and was
    not then, or the other way round, is a change.
    """
    sources = sources or SourceHistory()
    files = _Files(ruleset, copies, sources)
    reader = files.reader
    for path in directory.files:
        try:
            reader.read(path)
        except MissingFile:  # the file was missing then as well, or the digest differs
            continue
        except DirectoryError:
            return False
    try:
        files.ask_servers()
    except DirectoryError:
        return False
    reader.note(sources.mark)
    return reader.digest == directory.digest


def _lists(files: _Files, aliased: SortedAliases) -> dict[str, list[str]]:
    """Return the lists of the rules and of alias files; a list that is in both has the members of both."""
    lists = {normalise(address): list(members) for address, members in files.lists.items()}
    for address, members in aliased.lists.items():
        lists.setdefault(address, []).extend(members)
    return lists


class _Files:
    """The content of all sources of one ruleset, with their errors."""

    def __init__(self, ruleset: Ruleset, copies: ServerCopies, sources: SourceHistory) -> None:
        self.readings: dict[str, SourceReading] = {}  # source's name -> what it said
        self._sources = sources
        self._names: dict[str, list[str]] = {}  # server's name -> the keys of all sources with that name
        self.domains = {name: agency.domains for name, agency in ruleset.agencies.items()}
        self.consent: Consent | None = None
        self.expired = False  # a server does not answer, and there is no copy to use
        about = (
            ruleset.domains,
            ruleset.outside,
            ruleset.directory,
            dict(ruleset.lists),
            dict(ruleset.groups),
            ruleset.consent,
        )
        self.reader = TextFileReader(f"{self.domains} {about}")
        self.table = EntryTable(ruleset.agencies)
        self.aliases = Aliases(self.reader)
        self.lists: dict[str, list[str]] = {}
        self.errors: list[str] = []
        self.problems: list[str] = []
        self._ruleset, self._copies = ruleset, copies

    def read(self) -> None:
        """Read all sources. The error of one source does not stop the others, so that all errors are found."""
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
            given, suppressed = self._addresses(consents.given, True), self._addresses(consents.suppressed, False)
            if given is not None and suppressed is not None:
                self.consent = Consent(given if consents.given else None, suppressed)

    def _read_source(self, spec: DirectorySpec) -> None:
        if spec.path is None:
            self._read_server(spec)
            return
        path, name = self._ruleset.folder / spec.path, str(spec.path)
        if spec.kind == "csv":
            rows = self.table.read(path, self.reader.read(path))
            self.table.take(self._of_directory(name, rows, _size(rows)))
        else:
            aliases = self.aliases.read(path, self._mail_domain(path))
            self.aliases.take(self._of_directory(name, aliases, _size((), aliases)))

    def _of_directory(self, name: str, content: list[T], size: SourceSize, *, is_copy: bool = False) -> list[T]:
        """Return the content to use.

        Where a source is not believed and has no copy, the directory counts as expired.
        """
        believed = self._believed(name, content, size, is_copy=is_copy)
        self.expired |= believed is None
        return believed or []

    def _believed(
        self, name: str, content: list[T], size: SourceSize, *, shrinking: bool = True, is_copy: bool = False
    ) -> list[T] | None:
        """Return a source's content, or its last copy where the content is not believed. None: there is no copy."""
        read = self._sources.read(name, size, content, shrinking=shrinking, is_copy=is_copy)
        self.readings[name] = read
        if read.is_shrunk:
            stands = "what hangs on it cannot be told" if read.content is None else "its last copy stands"
            self.problems.append(
                f"{name} has {size}, and had {read.size} when it was good last: {stands} until it is as it was; "
                f"if this is right: gatekeeper directory accept {name}"
            )
        return cast(list[T] | None, read.content)

    def ask_servers(self) -> None:
        """Ask all servers whose copies are due. Raises DirectoryError."""
        for spec in self._ruleset.directory:
            if spec.path is None:
                self._server_copy(spec)
        consents = self._ruleset.consent
        for source in (*consents.given, *consents.suppressed) if consents else ():
            if source.file is None:
                self._consent_in_database(source)

    def _read_server(self, spec: DirectorySpec) -> None:
        name, source, copy = self._server_copy(spec)
        if copy is None:
            self._expire(source)
            self.expired = True
        elif copy.rows and "address" not in copy.rows[0]:
            raise DirectoryError([f"{name}: no column address: expected address, and any of user, agency, group"])
        else:
            self._take_rows(name, source, copy, spec)

    def _take_rows(self, name: str, source: str, copy: ServerCopy, spec: DirectorySpec) -> None:
        """Take in the people and the lists of a server."""
        lists, people = split_rows(copy.rows)
        unknown = list[str]()
        if spec.agencies or spec.kind in CLOUD:
            people, unknown = with_agencies(people, spec.agencies, self.domains)
        rows, problems = self.table.read_rows(name, people)
        self.problems += [f"{name}: {note}" for note in unknown]
        aliases, more = read_lists(name, lists)
        size = _size(rows, aliases)
        content = self._of_directory(source, [(rows, aliases)], size, is_copy=bool(copy.problem))
        self.problems += [*(f"{name}: {note}" for note in copy.notes), *problems, *more]
        for rows, aliases in content:
            self.problems += self.table.take_rows(rows)
            self.aliases.take(aliases)

    def _expire(self, source: str) -> None:
        self.readings[source] = self._sources.expired(source)

    def _server_copy(self, spec: DirectorySpec) -> tuple[str, str, ServerCopy | None]:
        """Return a server's name in messages, its name as a source, and its copy."""
        url, folder = spec.options["url"], self._ruleset.folder
        ask = query_of(spec, self._secret(secret_file_of(spec)), folder)
        name = f"directory {spec.kind} {without_passwords(url).removeprefix(f'{spec.kind}:')}"
        key = f"{name} {sorted(spec.options.items())}"
        return name, self._source_name(url, key), self._copy(name, key, ask, terms_of(spec))

    def _source_name(self, url: str, key: str) -> str:
        """Return a server's name as a source: its URL without the login; the second source of one URL is URL#2."""
        scheme, slashes, rest = without_passwords(url).partition("://")
        host, slash, path = rest.partition("/")
        name = f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
        keys = self._names.setdefault(name, [])
        if key not in keys:
            keys.append(key)
        number = keys.index(key) + 1
        return name if number == 1 else f"{name}#{number}"

    def _copy(self, name: str, key: str, ask: SourceQuery, terms: SourceTerms) -> ServerCopy | None:
        """Return a server's current or last copy; None where the copy is too old to use."""
        copy = self._copies.of(f"{self._ruleset.folder} {key}", ask, terms.refresh, slow=terms.slow)
        expired = self._copies.expired(copy, terms.age)
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
            members += self._of_directory(str(listed.file), found, SourceSize(len(set(found))))
            self.errors += errors
        elif not members and normalise(address) not in self.aliases.found:
            self.problems.append(f"list {address} has no file, members or alias: mail to it counts as to one address")
            return
        self.lists[address] = members

    def _addresses(self, sources: Iterable[ConsentSource], permit: bool) -> frozenset[str] | None:
        """Return all addresses in the sources of a consent list; None where a source is not available.

        Args: `permit` is True for sources that say who may be written to: of these a growth is questioned, not a
        shrinking.
        """
        found: set[str] = set()
        available = True
        for source in sources:
            try:
                addresses = self._consent_source(source, permit)
                available = available and addresses is not None
                found.update(addresses or ())
            except DirectoryError as error:
                self.errors.extend(error.problems)
        return frozenset(found) if available else None

    def _consent_source(self, source: ConsentSource, permit: bool) -> list[str] | None:
        if source.file is None:
            name, copy = self._consent_in_database(source)
            if copy is None:
                self._expire(name)
                return None
            found, is_copy = [next(iter(row.values()), "") for row in copy.rows], bool(copy.problem)
        else:
            path, name, is_copy = self._ruleset.folder / source.file, str(source.file), False
            found, errors = read_list(path, self.reader.read(path))
            self.errors += errors
        size = SourceSize(len(found), len(found) if permit else 0)
        return self._believed(name, found, size, shrinking=not permit, is_copy=is_copy)

    def _consent_in_database(self, source: ConsentSource) -> tuple[str, ServerCopy | None]:
        url, password = source.sql or "", self._secret(source.password_file)
        ask = partial(ask_sql, url, source.query, password, self._ruleset.folder)
        name = f"consent sql {without_passwords(url)}"
        key = f"{name} {url} {source.query}"
        return self._source_name(url, key), self._copy(name, key, ask, SourceTerms(age=source.age))

    def _mail_domain(self, path: Path) -> str:
        """Return the domain that the mail host adds to bare names: the first inside domain that is no pattern."""
        named = _exact(self._ruleset.domains)
        domain = next(chain(named, *map(_exact, self.domains.values())), None)
        if domain is None:
            raise DirectoryError([f"{path}: its names have no domain: list the mail host's own first under domains:"])
        if not named:
            advice = "if the mail host adds another, list that first under domains:"
            self.problems.append(f"{path}: names without a domain count as @{domain}; {advice}")
        return domain


def _size(rows: Sequence[PlacedEntry], aliases: Sequence[Alias] = ()) -> SourceSize:
    """Count the people of a source, not its lines: a file of many lines about one person reaches one."""
    users = {entry.user or entry.address for entry, _ in rows}
    listed = sum(max(1, len(alias.members)) for alias in aliases)
    return SourceSize(len(users) + listed, sum(len(entry.groups) for entry, _ in rows))


def _exact(patterns: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if not pattern.startswith(("*.", "["))]
