"""`gatekeeper audit ...`: verify the chains of recorded decisions, search them, and open cases for that."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from gatekeeper.archive.certificate import problems_of_certificates
from gatekeeper.cli.audit.bag import verify_bag
from gatekeeper.cli.common import (
    DATA_ERROR,
    USAGE,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.lazy_group import LazyCommands, Verbs
from gatekeeper.cli.periods import progress
from gatekeeper.lib.moments import utc_text
from gatekeeper.store import Connection, Store, audit_rows, audit_verify
from gatekeeper.store import audit_chain as chains
from gatekeeper.store.audit_verify import ChainReport

_OWN_FILES = {
    "case": "gatekeeper.cli.audit.cases",
    "dispose": "gatekeeper.cli.audit.disposals",
    "due": "gatekeeper.cli.audit.due",
    "preserve": "gatekeeper.cli.audit.preserves",
    "search": "gatekeeper.cli.audit.search",
    "export": "gatekeeper.cli.audit.export",
    "receipt": "gatekeeper.cli.audit.export",
    "timestamp": "gatekeeper.cli.audit.export",
}


@click.group(cls=Verbs, commands=LazyCommands(_OWN_FILES))
def audit() -> None:
    """Verify the recorded decisions, search them, open cases, and say what of the records is due."""


@audit.command()
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="CHAIN:RECORDS:HEAD",
    help="a head that the log reported; may be given again",
)
@click.option(
    "--bag",
    "bag",
    type=click.Path(path_type=Path),
    help="verify an export instead, by itself and by the chains where there is a database",
)
@setting_options("database", "database_timeout")
@json_option
def verify(heads: tuple[str, ...], bag: Path | None, as_json: bool, **given: Any) -> None:
    """Verify every chain of records from its beginning, or its checkpoint, to its end; exit 65 if one is broken."""
    wanted = [_head(text) for text in heads]
    if bag is not None:
        verify_bag(bag, settings_of(given), as_json)
        return
    with open_store(settings_of(given)) as store:
        found, problems = _verify(store)
        problems = [f"chain {one.id} ({one.name}): {one.problem}" for one in found if one.problem] + problems
        problems += [problem for head in wanted if (problem := _check_head(store, *head))]
        destroyed = store.writer.read(audit_rows.destroyed)
    if as_json:
        whole = {"whole": not problems, "problems": problems}
        print_json({**whole, "destroyed": destroyed, "chains": [_chain(one) for one in found]})
    else:
        _print_chains(found, [*destroyed, *problems], whole=not problems)
    if problems:
        raise SystemExit(DATA_ERROR)


def _verify(store: Store) -> tuple[list[ChainReport], list[str]]:
    """Return the chains, and what else is not as it was written."""
    blocks = store.writer.read(partial(chains.blocks_between, since=0.0, until=float(1 << 40)))
    stored = store.writer.read(audit_rows.stored_bodies)
    size = sum(block.records for block in blocks) + len(stored)
    with progress(size, "verify") as advance:
        found, problems = store.writer.read(partial(_verify_at_once, on_block=advance))
        for digest in stored:  # each by itself: there may be many gigabytes, and a long look keeps the log of SQLite
            problems.append(store.writer.read(partial(audit_rows.problem_of_body, digest=digest)))
            advance(1)
    problems += store.writer.read(lambda connection: list(problems_of_certificates(connection)))
    return found, [problem for problem in problems if problem]


def _verify_at_once(connection: Connection, on_block: Callable[[int], None]) -> tuple[list[ChainReport], list[str]]:
    audit_verify.fix_moment(connection)
    return audit_rows.verify_all(connection, on_block)


def _head(text: str) -> tuple[int, int, bytes]:
    try:
        chain, records, head = text.split(":")
        return int(chain), int(records), bytes.fromhex(head)
    except ValueError:
        raise Failure(f"--head {text}: expected CHAIN:RECORDS:HEAD, such as 3:1200:5f1c...", USAGE) from None


def _check_head(store: Store, chain: int, records: int, head: bytes) -> str:
    kept = store.writer.read(partial(chains.head_at, chain=chain, number=records))
    if kept == head:
        return ""
    if kept is None:
        return f"chain {chain}: it does not have record {records} (any more)"
    return f"chain {chain}: after {records} records its head is {kept.hex()}, and was {head.hex()}"


def _chain(one: ChainReport) -> dict[str, Any]:
    return {
        "chain": one.id,
        "name": one.name,
        "began": utc_text(one.began_at),
        "records": one.records,
        "aged_out": one.aged_out,
        "head": one.head.hex(),
        "problem": one.problem or None,
        "gaps": list(one.gaps),
    }


def _print_chains(found: list[ChainReport], notes: list[str], *, whole: bool) -> None:
    for one in found:
        aged = f", {one.aged_out} aged out" if one.aged_out else ""
        click.echo(f"{one.id}:{one.records}:{one.head.hex()}  {one.name}{aged}")
        for gap in one.gaps:
            click.echo(f"  {gap}, as the acts say")
    for note in notes:
        click.echo(note)
    records = sum(one.records - one.aged_out for one in found)
    click.echo(f"{len(found)} chains, {records} records: " + ("whole" if whole else "not what was written"))


# -- an export ---------------------------------------------------------------------------------------------------
