"""`gatekeeper permit ...`: permits that let mail pass which rules would hold: emergencies, exceptions, approvals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gatekeeper.api.permits import permit_case_document, permit_document
from gatekeeper.cli.common import Day, by_option, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import (
    Listing,
    filtered_listing,
    id_argument,
    ids_argument,
    on_each,
    on_the_ledger,
    print_stopped,
    print_timeline,
    seen_option,
    shown_time,
)
from gatekeeper.ledger.service import Exempted, LedgerService, ListPage, Narrowed, PermitCase, Sought
from gatekeeper.lifecycle import PermitState
from gatekeeper.model import Scope
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.permits import APPROVAL, EMERGENCY, EXCEPTION

reason_option = click.option("--reason", required=True, help="why")


# -- how a permit is shown ---------------------------------------------------------------------------------------


def _show_outcome(case: PermitCase, as_json: bool) -> None:
    print_json(permit_case_document(case)) if as_json else _print_outcome(case)


def _print_outcome(case: PermitCase) -> None:
    permit = case.permit
    until = f", until {shown_time(permit.until)}" if permit.state is PermitState.IN_FORCE else ""
    click.echo(f"{permit.id} is {permit.state}{until}")
    if case.stopped is not None:
        print_stopped(case.stopped)
    if permit.review == "open":
        click.echo(f"to be reviewed: gatekeeper permit review {permit.id} --by ... --reason ...")
    elif permit.review:
        click.echo(f"its review is {permit.review}")


_CONTENT = {"exact": "exactly what was approved", "template": "similar to what was approved", "none": "any"}


def _print_case(case: PermitCase) -> None:
    permit = case.permit
    click.echo(f"{permit.id}  {permit.state}  {permit.kind} for {permit.scope or 'its mailing'}")
    click.echo(f"version: {permit.version}")
    click.echo(f"lets pass what these rules would hold: {', '.join(permit.rules) or 'no rule'}")
    if permit.subject:
        click.echo(f"subject: {permit.subject!r}")
    for name, values in (("lists", permit.lists), ("agencies", permit.agencies)):
        if values:
            click.echo(f"{name}: {', '.join(values)}")
    click.echo(f"users: {'any number' if permit.ceiling is None else f'at most {permit.ceiling:,}'}")
    click.echo(f"content: {_CONTENT[permit.binding]}")
    click.echo(f"from {shown_time(permit.since)} until {shown_time(permit.until)}")
    click.echo(f"used {permit.used} of {permit.uses or 'any number of'} times: {', '.join(permit.mailings) or '-'}")
    if permit.review:
        click.echo(f"review: {permit.review}")
    print_timeline(case.events)


def _show_case(case: PermitCase, as_json: bool) -> None:
    print_json(permit_case_document(case)) if as_json else _print_case(case)


_COLUMNS: dict[str, Callable[[PermitView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: one.state,
    "kind": lambda one: one.kind,
    "until": lambda one: shown_time(one.until),
    "for": lambda one: one.scope or "its mailing",
    "review": lambda one: one.review,
}


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def permit() -> None:
    """Declare an emergency, grant an exception; list, show, narrow, revoke and review permits."""


@permit.command()
@click.option("--agency", required=True, help="whose mail passes: an agency's id")
@by_option
@reason_option
@click.option("--hours", type=float, required=True, help="for how long")
@on_the_ledger(_show_outcome)
def emergency(service: LedgerService, agency: str, by: str, reason: str, hours: float) -> PermitCase:
    """Let an agency's mail pass for some hours; an approver reviews the emergency afterwards."""
    return service.declare_emergency(agency, by, reason, hours)


@permit.command()
@click.option("--sender", "senders", multiple=True, help="whose mail passes: an address")
@click.option("--agency", "agencies", multiple=True, help="or an agency's id")
@click.option("--group", "groups", multiple=True, help="or a group of senders")
@click.option("--list", "lists", multiple=True, help="only to these lists")
@click.option("--rule", "rules", multiple=True, help="only for these rules; default: all rules that hold mail")
@click.option("--subject", default="", help="only with this subject")
@click.option(
    "--max-users", type=click.IntRange(1), help="the most users that a mailing may reach; default: any number"
)
@click.option("--until", type=Day(), required=True, help="the last day of the permit")
@by_option
@reason_option
@on_the_ledger(_show_outcome)
def exception(service: LedgerService, by: str, reason: str, **given: Any) -> PermitCase:
    """Let the mail of a sender, agency or group pass until a day, any number of times."""
    scope = Scope(*(frozenset(given.pop(name)) for name in ("senders", "agencies", "groups")))
    names = ("until", "rules", "subject", "lists", "max_users")
    wanted = Exempted(scope, **{name: given.pop(name) for name in names})
    return service.grant_exception(wanted, by, reason)


@permit.command("list")
@click.option(
    "--review", type=click.Choice(["open", "closed"]), help="only emergencies whose review is open, or closed"
)
@click.option("--kind", type=click.Choice([APPROVAL, EXCEPTION, EMERGENCY]), help="only those of this kind")
@filtered_listing(Listing("permits", PermitState, permit_document, _COLUMNS))
def list_permits(service: LedgerService, sought: Sought, by: str) -> ListPage[PermitView]:
    """List the permits, newest first."""
    return service.permits(sought, by)


@permit.command()
@id_argument("P")
@click.option("--by", help="who looks: an address under people in rules.yaml; default: all is shown")
@on_the_ledger(_show_case)
def show(service: LedgerService, id: int, by: str | None) -> PermitCase:
    """Show one permit: whose mail may pass, within which limits, and which mailings have used the permit."""
    return service.look_at_permit(id, by).case if by else service.show_permit(id)


@permit.command()
@id_argument("P")
@by_option
@reason_option
@click.option("--max-users", type=click.IntRange(1), help="the most users from now on")
@click.option("--until", type=Day(), help="the last day from now on")
@click.option(
    "--uses", type=click.IntRange(1), help="mailings that may use the permit, counting those that already have"
)
@seen_option
@on_the_ledger(_show_outcome)
def narrow(service: LedgerService, id: int, by: str, reason: str, seen: str | None, **given: Any) -> PermitCase:
    """Lower a permit's limits, also for mail that has not left yet. Returns when no message is being sent any more."""
    to = Narrowed(*(given.pop(name) for name in ("max_users", "until", "uses")))
    return service.narrow(id, by, reason, to, seen)


@permit.command()
@ids_argument("P")
@by_option
@reason_option
@seen_option
@on_each(permit_case_document, _print_outcome)
def revoke(service: LedgerService, id: int, by: str, reason: str, seen: str | None) -> PermitCase:
    """Revoke a permit; mail that has not left yet is held. Returns when no message is being sent any more."""
    return service.revoke(id, by, reason, seen)


@permit.command()
@id_argument("P")
@by_option
@reason_option
@on_the_ledger(_show_outcome)
def review(service: LedgerService, id: int, by: str, reason: str) -> PermitCase:
    """Close the review of an emergency, as an approver who did not declare the emergency."""
    return service.review_permit(id, by, reason)
