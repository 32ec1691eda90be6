"""`gatekeeper report`: compliance by agency and time (policy M6), and what would have been stopped in observe mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gatekeeper.api.report.csv_files import csv_files
from gatekeeper.api.report.document import document_text, report_document
from gatekeeper.api.report.page import report_page
from gatekeeper.api.report.pdf import PdfMissing, report_pdf
from gatekeeper.api.report.tables import Document, ReportTable, tables_of
from gatekeeper.cli.common import (
    CANNOT_CREATE,
    UNAVAILABLE,
    USAGE,
    Failure,
    json_option,
    json_text,
    parse_number,
    setting_options,
    settings_of,
)
from gatekeeper.cli.database import open_store
from gatekeeper.cli.ledger_commands import exit_on_ledger_error
from gatekeeper.cli.periods import period, progress, since_option, until_option
from gatekeeper.cli.table import table
from gatekeeper.ledger import reports
from gatekeeper.ledger.context import act_of
from gatekeeper.lib.private_files import make_private_folder, write_private_file
from gatekeeper.service.ledger_in_force import rules_in_force
from gatekeeper.store import Store

_FORMATS = ("text", "json", "html", "csv", "pdf")


@click.command()
@since_option
@until_option
@click.option("--agency", help="only senders of this agency, by its id")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True, help="as what")
@click.option("--out", type=click.Path(path_type=Path), help="a new file; of csv a new folder, with a file a table")
@click.option("--keep", is_flag=True, help="keep the report in the database as it is, with a digest, as RP-1")
@click.option("--kept", help="show a report that was kept, such as RP-1, instead of a new one")
@click.option("--by", default="", help="who asks: an address under people in rules.yaml; default: the operator")
@setting_options("database", "database_timeout")
@json_option
def report(form: str, out: Path | None, by: str, as_json: bool, **given: Any) -> None:
    """Report what each agency sent, what was held, denied or broke a rule, and what would have been held."""
    form = "json" if as_json else form
    _check_place(form, out)
    with open_store(settings_of(given)) as store, exit_on_ledger_error():
        document = _kept(store, given, by) if given["kept"] else _new(store, given, by)
    _write(document, form, out)


def _check_place(form: str, out: Path | None) -> None:
    if out is None and form == "csv":
        raise Failure("--format csv: expected --out too, a new folder: it has a file a table", USAGE)
    if out is not None and out.exists():
        raise Failure(f"{out} is there already: expected the name of a new one", CANNOT_CREATE)


def _new(store: Store, given: dict[str, Any], by: str) -> Document:
    ruleset, act = rules_in_force(store), act_of(by, "", store.now())
    agency = reports.allowed(ruleset, act.by, given["agency"])
    span = period(given["since"], given["until"], store.now(), ruleset.timezone)
    wanted = reports.Period(*span, agency)
    with progress(reports.size_of(store, wanted), "report") as advance:
        document = report_document(reports.compute(store, ruleset, wanted, advance))
    if given["keep"]:
        kept = reports.keep(store, wanted, document_text(document), act)
        click.echo(f"gatekeeper: kept as {kept.id}, SHA-256 {kept.digest}", err=True)
    return document


def _kept(store: Store, given: dict[str, Any], by: str) -> Document:
    number = parse_number(given["kept"], "RP")
    found = reports.find_kept(store, rules_in_force(store), number, act_of(by, "", store.now()).by)
    click.echo(f"gatekeeper: {found.id}, SHA-256 {found.digest}", err=True)
    document: Document = json.loads(found.document)
    return document


def _write(document: Document, form: str, out: Path | None) -> None:
    try:
        if form == "csv" and out is not None:
            _write_folder(document, out)
        elif out is None:
            click.echo(_octets(document, form), nl=False)
        else:
            write_private_file(out, _octets(document, form))
    except OSError as error:
        raise Failure(f"{out}: {error.strerror}", CANNOT_CREATE) from None


def _write_folder(document: Document, folder: Path) -> None:
    make_private_folder(folder)
    for name, octets in csv_files(document):
        write_private_file(folder / name, octets)


def _octets(document: Document, form: str) -> bytes:
    if form == "pdf":
        try:
            return report_pdf(document)
        except PdfMissing as error:
            raise Failure(str(error), UNAVAILABLE) from None
    if form == "html":
        return report_page(document).encode("utf-8", "backslashreplace")
    text = json_text(document, indent=2) if form == "json" else "\n".join(_lines(document))
    return f"{text}\n".encode("utf-8", "backslashreplace")


# -- as text -----------------------------------------------------------------------------------------------------

_COLUMNS = (
    *("mailings", "held", "released", "denied", "returned", "withdrawn", "expired", "refused", "warned", "violations"),
    "would_have_been_held",
)
_BELOW = ("figures", "denials", "rules", "months", "delivery", "outside_domains", "frequency", "integrity", "records")


def _lines(document: Document) -> list[str]:
    messages = ", ".join(f"{number} {verdict}" for verdict, number in document["messages"].items()) or "none"
    lines = [f"messages judged from {document['since']} to {document['until']}: {messages}"]
    lines += _agency_lines(document["agencies"])
    lines += _sender_lines("senders who reached most people at once", document["top_senders"])
    lines += _sender_lines("senders who broke rules more than once", document["repeat_senders"])
    lines += _observed_lines(document["observed"])
    for one in document["emergencies_to_review"]:
        lines.append(f"emergency to review: {one['id']} of {one['by']}, {one['at']}: {one['reason']}")
    for one in document["observing"]:
        end = f" until {one['until']}" if one["until"] else ""
        lines.append(f"{one['at']}: {one['mode']}{end}, said {one['by']}: {one['reason']}")
    for each in tables_of(document):
        lines += _table_lines(each) if each.name in _BELOW and each.rows else []
    return lines


def _agency_lines(agencies: dict[str, Any]) -> list[str]:
    titles = [name.replace("_", " ") for name in _COLUMNS]
    lines = ["  ".join(["agency".ljust(12), *titles])]
    for name, share in agencies.items():
        figures = [str(share[column]).rjust(len(title)) for column, title in zip(_COLUMNS, titles, strict=True)]
        lines.append("  ".join([name.ljust(12), *figures]))
    return lines


def _sender_lines(title: str, senders: list[dict[str, Any]]) -> list[str]:
    lines = [f"{title}:"] if senders else []
    for one in senders:
        who = one["sender"] or "a sender of ordinary mail"
        figures = f"{one['mailings']} mailings, {one['most_people']} people, {one['violations']} violations"
        lines.append(f"  {who}: {figures}")
    return lines


def _observed_lines(observed: dict[str, Any]) -> list[str]:
    lines = [
        f"passed since the gate only observed: {number} messages, {verdict}"
        for verdict, number in observed["would_have_been"].items()
    ]
    for one in observed["mailings"]:
        who = f"{one['sender']} {one['subject']!r}" if one["sender"] else "ordinary mail"
        rules = ", ".join(one["rules"])
        lines.append(f"  {one['at']} {one['mailing']} {one['verdict']} ({rules}) {who}, {one['users']} users")
    for rule, number in observed["rules"].items():
        lines.append(f"rule {rule}, which is only observed, matched {number} messages")
    return lines


def _table_lines(one: ReportTable) -> list[str]:
    rows = [[f"{cell:,}" if isinstance(cell, int | float) else cell for cell in row] for row in one.rows]
    return ["", one.title, *table(rows, one.columns)]
