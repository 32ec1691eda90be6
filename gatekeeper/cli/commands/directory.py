"""`gatekeeper directory`: list the sources of the directory, accept one that has shrunk, convert exports into files."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_INPUT,
    Failure,
    json_option,
    login_name,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.table import table
from gatekeeper.directory.loaders.agency_values import with_agencies
from gatekeeper.directory.loaders.exports import Exports
from gatekeeper.directory.loaders.text_files import DirectoryError, TextFileReader
from gatekeeper.rules import RulesetError, read_ruleset
from gatekeeper.store import Store, sources
from gatekeeper.store.sources import SourceState


@click.group(cls=Verbs)
def directory() -> None:
    """Show the sources of the directory, accept one that reaches fewer people, convert exports."""


@directory.command("list")
@setting_options("database", "database_timeout")
@json_option
def list_sources(as_json: bool, **given: Any) -> None:
    """List the sources as the running gate has them: the state, and the entries when the source last was good."""
    with open_store(settings_of(given)) as store:
        found = store.writer.read(sources.all_sources)
    if as_json:
        print_json([_document(source) for source in found])
        return
    for line in table(map(_row, found)):
        click.echo(line)


@directory.command()
@click.argument("source")
@setting_options("database", "database_timeout")
@json_option
def accept(source: str, as_json: bool, **given: Any) -> None:
    """Accept a source that is `shrunk` as it is now: the gate uses it within seconds."""
    with open_store(settings_of(given)) as store:
        taken = store.call(partial(sources.accept, name=source, login=login_name(), at=store.now()))
        if taken is None:
            raise Failure(_not_shrunk(store, source), DATA_ERROR)
    if as_json:
        print_json(_document(taken))
        return
    was, now = _counted(taken.entries, taken.granted), _counted(taken.found_entries, taken.found_granted)
    click.echo(f"{source} is taken as it is: {now}; it had {was}")


@directory.command()
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--people", default="people.csv", type=click.Path(path_type=Path), help="where people go, as CSV")
@click.option("--groups", default="groups.aliases", type=click.Path(path_type=Path), help="where groups go, as aliases")
@click.option("--agency", default="", help="the column with the agency; Department or orgUnitPath where left out")
@click.option("--is", "named", multiple=True, metavar="VALUE=ID", help="which agency a value of that column is")
@click.option("--enabled", is_flag=True, help="leave out who is suspended")
@setting_options("rules")
def convert(tables: tuple[Path, ...], people: Path, groups: Path, named: tuple[str, ...], **given: Any) -> None:
    """Make a CSV file of people and an alias file of groups from exports of Exchange or Google Workspace."""
    exports = Exports(given.pop("agency"), given.pop("enabled"))
    _read_tables(exports, tables)
    agencies = _agencies(settings_of(given).judging.rules)
    rows, unknown = with_agencies(exports.rows(), _named(named, agencies), agencies)
    lines = exports.alias_lines()
    for problem in (*exports.problems, *unknown):
        click.echo(problem, err=True)
    _write(people, _csv([[row["address"], row["user"], row["agency"]] for row in rows]))
    click.echo(f"{people}: {len(exports.people)} people with {len(rows)} addresses")
    if lines:
        _write(groups, "\n".join([*lines, ""]))
        click.echo(f"{groups}: {len(lines)} groups")


def _read_tables(exports: Exports, tables: tuple[Path, ...]) -> None:
    reader = TextFileReader("")
    for path in tables:
        try:
            exports.read(path, reader.read(path))
        except DirectoryError as error:
            exports.errors += error.problems
    exports.finish()
    if not exports.errors and not (exports.people or exports.lists):
        exports.errors.append("nobody is in these tables")
    if exports.errors:
        raise Failure(str(DirectoryError(exports.errors)), DATA_ERROR)


def _named(pairs: tuple[str, ...], agencies: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        value, equals, agency = pair.rpartition("=")
        if not equals or not value or agency not in agencies:
            raise click.UsageError(f"--is {pair}: expected VALUE=ID with an agency of the rules: {', '.join(agencies)}")
        found[" ".join(value.split()).casefold()] = agency
    return found


def _agencies(rules: Path) -> tuple[str, ...]:
    try:
        return tuple(read_ruleset(rules).agencies)
    except OSError as error:
        raise Failure(f"{rules}: {error.strerror}; --rules names the ruleset, whose agencies count", NO_INPUT) from None
    except RulesetError as error:
        raise Failure("\n".join(map(str, error.problems)), DATA_ERROR) from None


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["address", "user", "agency"], *rows])
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    """Write a file in one step: the gate never reads half of one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _row(source: SourceState) -> tuple[object, ...]:
    now = f", now {_counted(source.found_entries, source.found_granted)}" if source.state == "shrunk" else ""
    return source.state, f"{source.name}: {_counted(source.entries, source.granted)}{now}"


def _not_shrunk(store: Store, name: str) -> str:
    found = {source.name: source.state for source in store.writer.read(sources.all_sources)}
    if name in found:
        return f"{name} is {found[name]}: only a source that is shrunk can be accepted"
    names = ", ".join(found) or "none yet: start `gatekeeper serve` once"
    return f"{name} is no source of the directory: expected one of {names}"


def _counted(entries: int, granted: int) -> str:
    return f"{max(0, entries)} entries" + (f", {granted} that permit" if granted else "")


def _document(source: SourceState) -> dict[str, Any]:
    return {
        "source": source.name,
        "state": source.state,
        "entries": max(0, source.entries),
        "granted": source.granted,
        "found": {"entries": source.found_entries, "granted": source.found_granted},
    }
