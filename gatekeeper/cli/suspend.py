"""`gatekeeper suspend ...`: who may not send mass mail for a time."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from gatekeeper.casework.suspensions import KINDS
from gatekeeper.cli.cases import ledger_options, open_casework
from gatekeeper.cli.common import Day, by_option, json_option, parse_number, print_json, settings_of, when
from gatekeeper.lifecycle import SuspensionState
from gatekeeper.store.suspensions import SuspensionView


@click.group()
def suspend() -> None:
    """Suspend a sender, a group or an agency from mass mail; list suspensions, and end them."""


def _add(kind: str) -> None:
    @suspend.command(kind, help=f"Suspend {'an' if kind == 'agency' else 'a'} {kind} from mass mail until a day.")
    @click.argument("name")
    @by_option
    @click.option("--reason", required=True, help="why: who is suspended reads it")
    @click.option("--until", type=Day(), required=True, help="the last day of the suspension")
    @ledger_options
    @json_option
    def command(name: str, by: str, reason: str, until: date, as_json: bool, **given: Any) -> None:
        with open_casework(settings_of(given)) as casework:
            _print_outcome(casework.suspend(kind, name, by, reason, until), as_json)


for _kind in KINDS:
    _add(_kind)


@suspend.command()
@click.argument("id")
@by_option
@click.option("--reason", default="", help="why")
@ledger_options
@json_option
def end(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """End a suspension before its time."""
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.end_suspension(parse_number(id, "S"), by, reason), as_json)


@suspend.command("list")
@click.option("--state", type=click.Choice([state.value for state in SuspensionState]), help="only those in this state")
@ledger_options
@json_option
def list_suspensions(state: str | None, as_json: bool, **given: Any) -> None:
    """List the suspensions, newest first."""
    with open_casework(settings_of(given)) as casework:
        found = casework.suspensions(state)
    if as_json:
        print_json([as_document(one) for one in found])
        return
    for one in found:
        click.echo(f"{one.id:<8} {one.state:<9} {one.kind} {one.name} until {when(one.until)}  {one.reason}")
    if not found:
        click.echo("no suspensions" + (f" that are {state}" if state else ""))


def as_document(suspension: SuspensionView) -> dict[str, Any]:
    """A suspension in JSON."""
    return {
        "id": suspension.id,
        "state": suspension.state.value,
        "kind": suspension.kind,
        "name": suspension.name,
        "reason": suspension.reason,
        "until": when(suspension.until),
        "by": suspension.given_by,
        "given": when(suspension.given_at),
    }


def _print_outcome(suspension: SuspensionView, as_json: bool) -> None:
    if as_json:
        print_json(as_document(suspension))
        return
    about = f"{suspension.kind} {suspension.name}"
    click.echo(f"{suspension.id}: {about}, {suspension.state} until {when(suspension.until)}")
