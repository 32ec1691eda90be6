"""`gatekeeper directory`: list the sources of the directory, and accept a source that has shrunk."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from gatekeeper.cli.common import DATA_ERROR, Failure, json_option, login_name, print_json, setting_options, settings_of
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.table import table
from gatekeeper.store import Store, sources
from gatekeeper.store.sources import SourceState


@click.group(cls=Verbs)
def directory() -> None:
    """Show the sources of the directory, and accept one that reaches fewer people than before."""


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
