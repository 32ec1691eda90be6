"""`gatekeeper audit export`, `receipt` and `timestamp`: hand records over for a case, with the means to check them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from gatekeeper.api.bag.write import BagWanted, Written, write_bag
from gatekeeper.archive.bag import BagError
from gatekeeper.archive.signing import SignatureMissing, problem_of_timestamp
from gatekeeper.cli.common import (
    CANNOT_CREATE,
    DATA_ERROR,
    NO_INPUT,
    UNAVAILABLE,
    USAGE,
    Day,
    Failure,
    by_option,
    parse_number,
    print_json,
)
from gatekeeper.cli.ledger_commands import id_argument, on_the_ledger
from gatekeeper.cli.periods import progress
from gatekeeper.ledger.exporting import ExportView
from gatekeeper.ledger.searching import SearchWanted
from gatekeeper.ledger.service import LedgerService
from gatekeeper.notices import say_count

_TIMESTAMP = "timestamp.tsr"


def _show_written(done: tuple[Written, Path], as_json: bool) -> None:
    written, place = done
    if as_json:
        print_json(
            {
                "id": written.export.id,
                "case": written.export.case,
                "place": str(place),
                "files": written.files,
                "octets": written.octets,
                "payload": written.payload,
                "tags": written.tags,
                "key": written.key or None,
            }
        )
        return
    files = say_count(written.files, "file", "files")
    click.echo(f"{written.export.id} of {written.export.case}: {files}, {written.octets:,} octets in {place}")
    click.echo(f"SHA-256 of manifest-sha256.txt: {written.payload}")
    if written.key:
        click.echo(f"signed; SHA-256 of the public key: {written.key}")


@click.command()
@click.argument("query", required=False)
@by_option
@click.option("--case", required=True, help="the case for which it is made, such as C-4")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="a new folder, or a new file FILE.zip")
@click.option("--search", "saved", type=click.IntRange(1), help="what a saved search found, by its number")
@click.option("--format", "form", type=click.Choice(["eml", "mbox"]), default="eml", show_default=True, help="as what")
@click.option("--numbers", is_flag=True, help="give messages control numbers, such as GK-000001; they stay theirs")
@click.option("--sign", is_flag=True, help="sign the manifest with the key of this database (Ed25519)")
@click.option("--timestamp-request", "timestamp", is_flag=True, help="write timestamp.tsq for a timestamp authority")
@on_the_ledger(_show_written)
def export(service: LedgerService, query: str | None, by: str, to: Path, **given: Any) -> tuple[Written, Path]:
    """Write what a search finds as a bag (RFC 8493): messages, what was decided about them, and proof of both.

    Without words and without --search, it has the mailings that were added to the case. A folder that was begun for
    the same export goes on where it was left.
    """
    case = parse_number(given["case"], "C")
    how = BagWanted(
        case=case,
        wanted=_wanted(service, query, given["saved"], case, by),
        by=by,
        mbox=given["form"] == "mbox",
        prefix=service.ruleset.records.numbers if given["numbers"] else "",
        sign=given["sign"],
        timestamp=given["timestamp"],
    )
    return _write(service, to, how), to


def _wanted(service: LedgerService, query: str | None, saved: int | None, case: int, by: str) -> SearchWanted:
    """Return what is looked for: words, what a saved search looked for, or else the mailings of the case."""
    if query and saved:
        raise Failure("--search: expected no words beside it", USAGE)
    if query:
        return SearchWanted(query=query)
    return service.wanted_of_search(saved, by) if saved else service.wanted_of_case(case, by)


def _write(service: LedgerService, to: Path, how: BagWanted) -> Written:
    is_zip = to.suffix.lower() == ".zip"
    folder = to.with_name(f"{to.name}.unfinished") if is_zip else to
    if is_zip and to.exists() and not folder.exists():
        raise Failure(f"{to} is there already: expected the name of a new file", CANNOT_CREATE)
    how = replace(how, zip=to if is_zip else None)
    try:
        written = write_bag(service, folder, how, partial(progress, label="export"))
        if is_zip:
            shutil.rmtree(folder)
    except BagError as error:
        raise Failure(str(error), CANNOT_CREATE) from None
    except SignatureMissing as error:
        raise Failure(f"--sign: {error}", UNAVAILABLE) from None
    except OSError as error:
        raise Failure(f"{to}: {error.strerror}; the same command goes on where it was left", CANNOT_CREATE) from None
    return written


def _show_export(export: ExportView, as_json: bool) -> None:
    if as_json:
        print_json({"id": export.id, "case": export.case, "payload": export.payload, "tags": export.tags})
    else:
        click.echo(f"{export.id} of {export.case}: noted")


@click.command()
@id_argument("E")
@by_option
@click.option("--to", required=True, help="who has received it, such as 'Clerk of court, J. Doe'")
@click.option("--at", type=Day(), required=True, help="on which day")
@click.option("--reason", default="", help="what the timeline should say of it")
@on_the_ledger(_show_export)
def receipt(service: LedgerService, id: int, by: str, to: str, at: date, reason: str) -> ExportView:
    """Note to whom an export was handed over; the case's timeline and its next custody.csv have it."""
    return service.receive_export(id, to, at.isoformat(), by, reason)


@click.command()
@id_argument("E")
@click.argument("answer", type=click.Path(dir_okay=False, path_type=Path))
@by_option
@click.option("--bag", "folder", type=click.Path(file_okay=False, path_type=Path), help="put it into this bag too")
@on_the_ledger(_show_export)
def timestamp(service: LedgerService, id: int, answer: Path, by: str, folder: Path | None) -> ExportView:
    """Take in the answer of a timestamp authority (RFC 3161) about an export; nothing is sent anywhere."""
    found = service.find_export(id, by)
    try:
        octets = answer.read_bytes()
    except OSError as error:
        raise Failure(f"{answer}: {error.strerror}", NO_INPUT) from None
    if problem := problem_of_timestamp(octets, bytes.fromhex(found.tags or "")):
        raise Failure(f"{answer}: {problem}", DATA_ERROR)
    if folder is not None and _tags_of(folder) != found.tags:
        raise Failure(
            f"--bag {folder}: expected the folder of {found.id}; its tagmanifest-sha256.txt is another", DATA_ERROR
        )
    noted = service.note_timestamp(id, sha256(octets).hexdigest(), by)
    if folder is not None:
        try:
            (folder / _TIMESTAMP).write_bytes(octets)
        except OSError as error:
            raise Failure(f"{folder}: {error.strerror}", CANNOT_CREATE) from None
    return noted


def _tags_of(folder: Path) -> str:
    """Return the SHA-256 of the manifest of a bag that is timestamped; "" for what is no bag."""
    try:
        return sha256((folder / "tagmanifest-sha256.txt").read_bytes()).hexdigest()
    except OSError:
        return ""
