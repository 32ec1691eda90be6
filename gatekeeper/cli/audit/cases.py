"""`gatekeeper audit case ...`: open, list, show and close the cases for which records are used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import click

from gatekeeper.api.cases import case_document, records_case_document
from gatekeeper.cli.common import Day, by_option, parse_number, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import Listing, id_argument, listing, on_the_ledger, print_timeline, shown_time
from gatekeeper.ledger.cases import KINDS, CaseWanted, RecordsCase
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lifecycle import CaseState
from gatekeeper.store.cases import CaseView


def _print_outcome(shown: RecordsCase, as_json: bool) -> None:
    if as_json:
        print_json(records_case_document(shown))
        return
    click.echo(f"{shown.case.id} is {shown.case.state}: {_about(shown.case)}")


def _print_case(shown: RecordsCase, as_json: bool) -> None:
    _print_outcome(shown, as_json)
    if not as_json and shown.items:
        click.echo(f"mailings: {', '.join(shown.items)}")
    if not as_json:
        print_timeline(shown.events)


def _about(case: CaseView) -> str:
    outside = f" ({case.outside})" if case.outside else ""
    return f"{case.title}{outside}, {case.kind}" + (f", due {case.due}" if case.due else "")


_COLUMNS: dict[str, Callable[[CaseView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: one.state,
    "kind": lambda one: one.kind,
    "number": lambda one: one.outside,
    "due": lambda one: one.due or "",
    "opened": lambda one: shown_time(one.opened_at),
    "by": lambda one: one.opened_by,
    "title": lambda one: one.title,
}


def _numbers(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(parse_number(text, "M") for text in texts)


@click.group(cls=Verbs)
def case() -> None:
    """Open, list, show and close the cases for which records are searched, preserved and exported."""


@case.command("open")
@by_option
@click.option("--title", required=True, help="its name, such as 'Smith v. State'")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="what it is")
@click.option("--number", "outside", default="", help="its number elsewhere, such as a court's")
@click.option("--due", type=Day(), help="the day by which it must be answered")
@click.option("--reason", default="", help="what the timeline should say of it")
@on_the_ledger(_print_outcome)
def open_case(
    service: LedgerService, by: str, title: str, kind: str, outside: str, due: date | None, reason: str
) -> RecordsCase:
    """Open a case, as a records officer."""
    return service.open_case(CaseWanted(title, kind, outside, due), by, reason)


@case.command("close")
@id_argument("C")
@by_option
@click.option("--reason", default="", help="how it ended")
@on_the_ledger(_print_outcome)
def close_case(service: LedgerService, id: int, by: str, reason: str) -> RecordsCase:
    """Close a case; nothing more is done for it."""
    return service.close_case(id, by, reason)


@case.command("add")
@id_argument("C")
@click.argument("mailings", nargs=-1, required=True, callback=_numbers, metavar="MAILING...")
@by_option
@click.option("--reason", default="", help="why they belong to it")
@on_the_ledger(_print_case)
def add_to_case(service: LedgerService, id: int, mailings: tuple[int, ...], by: str, reason: str) -> RecordsCase:
    """Let mailings belong to a case: nothing of them is destroyed while it is open."""
    return service.add_to_case(id, mailings, by, reason)


@case.command("show")
@id_argument("C")
@by_option
@on_the_ledger(_print_case)
def show_case(service: LedgerService, id: int, by: str) -> RecordsCase:
    """Show a case and what was done for it."""
    return service.show_case(id, by)


@case.command("list")
@by_option
@listing(Listing("cases", CaseState, case_document, _COLUMNS))
def list_cases(service: LedgerService, state: str | None, by: str) -> list[CaseView]:
    """List the cases, newest first."""
    return service.cases(by, state)
