"""`gatekeeper audit preserve ...`: place, list, show and release legal holds, and tell their custodians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gatekeeper.api.preserves import preserve_document, shown_preserve_document
from gatekeeper.cli.common import Day, by_option, parse_number, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import Listing, id_argument, listing, on_the_ledger, print_timeline, shown_time
from gatekeeper.ledger.preserves import PreserveWanted, ShownPreserve
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lifecycle import PreserveState
from gatekeeper.notices import say_count
from gatekeeper.store.preserves import Custodian, PreserveView, Scope


def _print_outcome(shown: ShownPreserve, as_json: bool) -> None:
    if as_json:
        print_json(shown_preserve_document(shown))
        return
    hold = shown.hold
    click.echo(f"{hold.id} is {hold.state}, for {hold.case}: {_about(hold.scope)}")
    if hold.agreed_by and hold.state is PreserveState.IN_FORCE:
        click.echo(f"its release is signed by {hold.agreed_by}, and waits for another signature")
    if shown.kept and hold.state is PreserveState.IN_FORCE:
        kept = say_count(shown.kept.mailings, "mailing", "mailings")
        first = f" ({', '.join(shown.kept.first)})" if shown.kept.first else ""
        click.echo(f"it keeps {kept}, {shown.kept.with_content:,} with content{first}")


def _print_preserve(shown: ShownPreserve, as_json: bool) -> None:
    _print_outcome(shown, as_json)
    if as_json:
        return
    click.echo(f"reason: {shown.hold.reason}")
    for one in shown.hold.custodians:
        click.echo(f"custodian: {one.address}, {_state_of(one, shown.hold)}")
    print_timeline(shown.events)


def _state_of(one: Custodian, hold: PreserveView) -> str:
    if one.acknowledged_at is not None:
        return f"acknowledged {shown_time(one.acknowledged_at)}"
    last = one.reminded_at or one.told_at
    if last is None:
        return "not told: the hold is silent" if hold.silent else "not told"
    return f"{'reminded' if one.reminded_at else 'told'} {shown_time(last)}"


def _about(scope: Scope) -> str:
    parts = [
        *(f"mail of {each}" for each in scope.custodians),
        *(f"sent by {each}" for each in scope.agencies),
        *(f"reaching {each}" for each in scope.audiences),
        *(f"about {each!r}" for each in scope.subjects),
        *(f"M-{number}" for number in scope.mailings),
    ]
    times = [f"since {shown_time(scope.since)}"] if scope.since is not None else []
    times += [f"until {shown_time(scope.until)}"] if scope.until is not None else []
    return ", ".join((*parts, *times))


_COLUMNS: dict[str, Callable[[PreserveView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: one.state,
    "case": lambda one: one.case,
    "placed": lambda one: shown_time(one.placed_at),
    "by": lambda one: one.placed_by,
    "about": lambda one: _about(one.scope),
    "told": lambda one: "silent" if one.silent else _acknowledged(one),
}


def _acknowledged(one: PreserveView) -> str:
    known = sum(each.acknowledged_at is not None for each in one.custodians)
    return f"{known} of {len(one.custodians)} acknowledged" if one.custodians else ""


def _numbers(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(parse_number(text, "M") for text in texts)


def _case(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    return parse_number(text, "C")


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def preserve() -> None:
    """Place legal holds, tell their custodians, and release them: nobody destroys what is in the scope of one."""


@preserve.command()
@by_option
@click.option("--case", callback=_case, required=True, help="the case that it is for, such as C-4")
@click.option("--reason", required=True, help="why; whoever is told of it reads it")
@click.option("--custodian", "custodians", multiple=True, help="somebody whose mail, sent or received; again for more")
@click.option("--agency", "agencies", multiple=True, help="an agency whose senders' mail; again for more")
@click.option("--audience", "audiences", multiple=True, help="a list or agency that was reached; again for more")
@click.option("--subject", "subjects", multiple=True, help="words of the subject; again for others")
@click.option("--mailing", "mailings", multiple=True, callback=_numbers, help="a mailing, whatever else is said")
@click.option("--since", type=Day(), help="only mail of this day and later")
@click.option("--until", type=Day(), help="only mail of this day and earlier")
@click.option("--silent", is_flag=True, help="tell no custodian; only records officers and auditors see it")
@on_the_ledger(_print_outcome)
def place(service: LedgerService, by: str, case: int, reason: str, **given: Any) -> ShownPreserve:
    """Place a hold, as a records officer; it is in force when the command returns."""
    return service.preserve(PreserveWanted(case, **given), by, reason)


@preserve.command("list")
@by_option
@listing(Listing("holds", PreserveState, preserve_document, _COLUMNS))
def list_preserves(service: LedgerService, state: str | None, by: str) -> list[PreserveView]:
    """List the holds, newest first."""
    return service.preserves(by, state)


@preserve.command("show")
@id_argument("H")
@by_option
@on_the_ledger(_print_preserve)
def show_preserve(service: LedgerService, id: int, by: str) -> ShownPreserve:
    """Show a hold, its custodians, what it keeps now, and its timeline."""
    return service.show_preserve(id, by)


@preserve.command()
@id_argument("H")
@by_option
@on_the_ledger(_print_preserve)
def notify(service: LedgerService, id: int, by: str) -> ShownPreserve:
    """Tell the custodians of a hold who have not acknowledged it."""
    return service.notify_custodians(id, by)


@preserve.command()
@id_argument("H")
@by_option
@click.option("--custodian", default="", help="for whom a records officer acknowledges it")
@on_the_ledger(_print_outcome)
def acknowledge(service: LedgerService, id: int, by: str, custodian: str) -> ShownPreserve:
    """Acknowledge a hold, as one of its custodians."""
    return service.acknowledge_preserve(id, by, custodian)


@preserve.command()
@id_argument("H")
@by_option
@click.option("--reason", required=True, help="why; the audit keeps it")
@on_the_ledger(_print_outcome)
def release(service: LedgerService, id: int, by: str, reason: str) -> ShownPreserve:
    """Release a hold; that of a lawsuit is released by two people."""
    return service.release_preserve(id, by, reason)
