"""`gatekeeper suspend ...`: keep senders, groups and agencies from sending mass mail for a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import click

from gatekeeper.api.permits import suspension_document
from gatekeeper.cli.common import Day, by_option, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import Listing, id_argument, listing, on_the_ledger, shown_time
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.suspensions import KINDS
from gatekeeper.lifecycle import SuspensionState
from gatekeeper.store.suspensions import SuspensionView


def _print_outcome(suspension: SuspensionView, as_json: bool) -> None:
    if as_json:
        print_json(suspension_document(suspension))
        return
    about = f"{suspension.kind} {suspension.name}"
    click.echo(f"{suspension.id}: {about}, {suspension.state} until {shown_time(suspension.until)}")


_COLUMNS: dict[str, Callable[[SuspensionView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: one.state,
    "of": lambda one: f"{one.kind} {one.name}",
    "until": lambda one: shown_time(one.until),
    "reason": lambda one: one.reason,
}


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def suspend() -> None:
    """Suspend a sender, a group or an agency from mass mail; list suspensions, and end them."""


def _add(kind: str) -> None:
    @suspend.command(kind, help=f"Suspend {'an' if kind == 'agency' else 'a'} {kind} from mass mail until a day.")
    @click.argument("name")
    @by_option
    @click.option("--reason", required=True, help="why; whoever is suspended reads it")
    @click.option("--until", type=Day(), required=True, help="the last day of the suspension")
    @on_the_ledger(_print_outcome)
    def command(service: LedgerService, name: str, by: str, reason: str, until: date) -> SuspensionView:
        return service.suspend(kind, name, by, reason, until)


for _kind in KINDS:
    _add(_kind)


@suspend.command()
@id_argument("S")
@by_option
@click.option("--reason", default="", help="why")
@on_the_ledger(_print_outcome)
def end(service: LedgerService, id: int, by: str, reason: str) -> SuspensionView:
    """End a suspension before its time."""
    return service.end_suspension(id, by, reason)


@suspend.command("list")
@listing(Listing("suspensions", SuspensionState, suspension_document, _COLUMNS))
def list_suspensions(service: LedgerService, state: str | None) -> list[SuspensionView]:
    """List the suspensions, newest first."""
    return service.suspensions(state)
