"""`gatekeeper audit due`: count what is due by the schedule of records."""

from __future__ import annotations

import click

from gatekeeper.api.due import due_document
from gatekeeper.cli.common import by_option, print_json
from gatekeeper.cli.ledger_commands import on_the_ledger, shown_time
from gatekeeper.cli.table import table
from gatekeeper.ledger.due import ClassDue
from gatekeeper.ledger.service import LedgerService
from gatekeeper.rules.record_classes import CLASS_NAMES

_TITLES = ("class", "keep", "cite", "due before", "due", "oldest", "how")


def _print_due(found: list[ClassDue], as_json: bool) -> None:
    if as_json:
        print_json([due_document(one) for one in found])
        return
    for line in table(map(_row, found), _TITLES):
        click.echo(line)


def _row(one: ClassDue) -> tuple[object, ...]:
    before = "-" if one.cutoff is None else shown_time(one.cutoff)
    oldest = "" if one.due.oldest is None else shown_time(one.due.oldest)
    return one.name, one.rule.keep.text, one.rule.cite, before, one.due.number, oldest, one.rule.dispose


@click.command()
@by_option
@click.option("--class", "name", type=click.Choice(CLASS_NAMES), help="only this class of records")
@on_the_ledger(_print_due)
def due(service: LedgerService, by: str, name: str | None) -> list[ClassDue]:
    """Count what is due by the schedule of records, class by class; nothing is done about it."""
    return service.due(by, name)
