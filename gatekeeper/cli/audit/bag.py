"""`gatekeeper audit verify --bag`: an export by itself, and by what the database has noted of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

import click

from gatekeeper.archive import bag_check
from gatekeeper.archive.bag_check import AuditLine
from gatekeeper.archive.signing import fingerprint_of
from gatekeeper.cli.common import DATA_ERROR, NO_INPUT, Failure, print_json
from gatekeeper.cli.database import open_store
from gatekeeper.cli.periods import progress
from gatekeeper.settings import Settings
from gatekeeper.store import Connection, Database, Store, exports
from gatekeeper.store import audit_chain as chains

_TAGS, _SIGNATURE = "tagmanifest-sha256.txt", "signature.txt"


def verify_bag(folder: Path, settings: Settings, as_json: bool) -> None:
    """Print whether a bag is what was exported; exit 65 where it is not."""
    if not folder.is_dir():
        why = "it is a file: unpack it first" if folder.exists() else "no such folder"
        raise Failure(f"--bag {folder}: {why}; expected the folder of an export", NO_INPUT)
    with progress(bag_check.size_of(folder), "verify") as advance:
        problems = list(bag_check.problems_of(folder, advance))
    lines = list(bag_check.lines_of(folder))
    database = Database(settings.storing.database, settings.storing.database_timeout)
    is_there = database.path is None or database.path.exists()
    if is_there and not problems:
        with open_store(settings) as store:
            problems += store.writer.read(lambda connection: list(_against_export(connection, folder)))
            problems += [problem for line in lines if (problem := _against_chain(store, line))]
    if as_json:
        document = {"whole": not problems, "problems": problems, "lines": len(lines), "by_the_chains": is_there}
        print_json(document)
    else:
        for problem in problems:
            click.echo(problem)
        beside = "" if is_there else "; there is no database to compare its audit lines with"
        click.echo(f"{folder}: " + ("not what was exported" if problems else f"whole{beside}"))
    if problems:
        raise SystemExit(DATA_ERROR)


def _against_export(connection: Connection, folder: Path) -> Iterator[str]:
    """Yield how a bag differs from the export that it says it is."""
    name = bag_check.info_of(folder).get("External-Identifier", "")
    digits = name.removeprefix("E-")
    export = exports.find(connection, int(digits)) if digits.isdecimal() and len(digits) < 10 else None
    if export is None:
        yield f"bag-info.txt: the database has no export {bag_check.shown(name)}"
    elif export.tags is None:
        yield f"bag-info.txt: the database has not noted that {export.id} was finished"
    elif export.tags != sha256((folder / _TAGS).read_bytes()).hexdigest():
        yield f"{_TAGS}: it is not that of {export.id}, whose SHA-256 is {export.tags}"
    else:
        yield from _against_key(folder, exports.said_of(connection, export).get("key"))


def _against_key(folder: Path, key: object) -> Iterator[str]:
    path = folder / _SIGNATURE
    if key and not path.is_file():
        yield f"{_SIGNATURE}: it is missing, and the export was signed"
    elif path.is_file() and fingerprint_of(path.read_text(encoding="utf-8", errors="replace")) != key:
        yield f"{_SIGNATURE}: it is of another key than that of the export"


def _against_chain(store: Store, line: AuditLine) -> str:
    """Return how a line of a bag differs from the chain; "" where it does not."""
    place = f"{bag_check.LINES}: record {line.record} of chain {line.chain}"
    try:
        kept = store.writer.read(partial(chains.line_at, chain=line.chain, number=line.record))
    except zlib.error:
        return f"{place} cannot be read in the database"
    if kept is None:
        return f"{place} is not in the database (any more)"
    return "" if (kept.line, kept.after) == (line.line, line.after) else f"{place} is another one in the database"
