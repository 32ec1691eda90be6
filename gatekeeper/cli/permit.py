"""`gatekeeper permit ...`: what clears holds: emergencies, exceptions, approvals."""

from __future__ import annotations

from typing import Any

import click

from gatekeeper.casework import Exempted, Narrowed, PermitCase
from gatekeeper.cli.cases import ledger_options, open_casework, print_timeline, timeline_document
from gatekeeper.cli.common import Day, by_option, json_option, parse_number, print_json, settings_of, when
from gatekeeper.lifecycle import PermitState
from gatekeeper.model import Scope
from gatekeeper.store.permits import PermitView

reason_option = click.option("--reason", required=True, help="why")


@click.group()
def permit() -> None:
    """Declare an emergency, grant an exception; list, show, narrow and revoke what is permitted."""


@permit.command()
@click.option("--agency", required=True, help="whose mail passes: an agency's id")
@by_option
@reason_option
@click.option("--hours", type=float, required=True, help="for how long")
@ledger_options
@json_option
def emergency(agency: str, by: str, reason: str, hours: float, as_json: bool, **given: Any) -> None:
    """Let an agency's mail pass for some hours; it is reviewed afterwards."""
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.declare_emergency(agency, by, reason, hours), as_json)


@permit.command()
@click.option("--sender", "senders", multiple=True, help="whose mail passes: an address")
@click.option("--agency", "agencies", multiple=True, help="or an agency's id")
@click.option("--group", "groups", multiple=True, help="or a group of senders")
@click.option("--list", "lists", multiple=True, help="only to these lists")
@click.option("--rule", "rules", multiple=True, help="only for these rules; else for all that hold")
@click.option("--subject", default="", help="only with this subject")
@click.option("--max-users", type=click.IntRange(1), help="users that a mailing may reach; else any number")
@click.option("--until", type=Day(), required=True, help="its last day")
@by_option
@reason_option
@ledger_options
@json_option
def exception(by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Let somebody's mail pass until a day, without a count of uses."""
    scope = Scope(*(frozenset(given.pop(name)) for name in ("senders", "agencies", "groups")))
    names = ("until", "rules", "subject", "lists", "max_users")
    wanted = Exempted(scope, **{name: given.pop(name) for name in names})
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.grant_exception(wanted, by, reason), as_json)


@permit.command("list")
@click.option("--state", type=click.Choice([state.value for state in PermitState]), help="only those in this state")
@click.option("--review", type=click.Choice(["open", "closed"]), help="only emergencies whose review is so")
@ledger_options
@json_option
def list_permits(state: str | None, review: str | None, as_json: bool, **given: Any) -> None:
    """List the permits, newest first."""
    with open_casework(settings_of(given)) as casework:
        found = casework.permits(state, review)
    if as_json:
        print_json([as_document(one) for one in found])
        return
    for one in found:
        review_shown = f"  review {one.review}" if one.review else ""
        click.echo(f"{one.id:<8} {one.state:<9} {one.kind:<9} until {when(one.until)}  {one.scope}{review_shown}")
    if not found:
        click.echo("no permits" + (f" that are {state}" if state else ""))


@permit.command()
@click.argument("id")
@ledger_options
@json_option
def show(id: str, as_json: bool, **given: Any) -> None:
    """Show one permit: whose mail it is for, what binds it, what has used it."""
    with open_casework(settings_of(given)) as casework:
        case = casework.show_permit(parse_number(id, "P"))
    print_json(case_document(case)) if as_json else _print_case(case)


@permit.command()
@click.argument("id")
@by_option
@reason_option
@click.option("--max-users", type=click.IntRange(1), help="users that it allows from now on")
@click.option("--until", type=Day(), help="its last day from now on")
@click.option("--uses", type=click.IntRange(1), help="mailings that may use it, those that have among them")
@ledger_options
@json_option
def narrow(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Allow less; what has not left obeys at once. Returns when nothing is on its way any more."""
    to = Narrowed(*(given.pop(name) for name in ("max_users", "until", "uses")))
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.narrow(parse_number(id, "P"), by, reason, to), as_json)


@permit.command()
@click.argument("id")
@by_option
@reason_option
@ledger_options
@json_option
def revoke(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Take it back; what has not left is held. Returns when nothing is on its way any more."""
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.revoke(parse_number(id, "P"), by, reason), as_json)


@permit.command()
@click.argument("id")
@by_option
@reason_option
@ledger_options
@json_option
def review(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Close the review of an emergency, as an approver who did not declare it."""
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.review_permit(parse_number(id, "P"), by, reason), as_json)


# -- how a permit is shown ---------------------------------------------------------------------------------------


def as_document(permit: PermitView) -> dict[str, Any]:
    """A permit in JSON."""
    return {
        "id": permit.id,
        "state": permit.state.value,
        "kind": permit.kind,
        "request": permit.request,
        "rules": list(permit.rules),
        "senders": sorted(permit.scope.senders),
        "sender_agencies": sorted(permit.scope.agencies),
        "sender_groups": sorted(permit.scope.groups),
        "subject": permit.subject,
        "lists": list(permit.lists),
        "agencies": list(permit.agencies),
        "max_users": permit.ceiling,
        "binding": permit.binding,
        "since": when(permit.since),
        "until": when(permit.until),
        "uses": permit.uses,
        "used": permit.used,
        "mailings": list(permit.mailings),
        "purpose": permit.purpose,
        "reason": permit.reason,
        "review": permit.review,
        "by": permit.given_by,
        "given": when(permit.given_at),
    }


def case_document(case: PermitCase) -> dict[str, Any]:
    """A permit in JSON with its timeline, and what was stopped just now."""
    document = {**as_document(case.permit), "timeline": timeline_document(case.events)}
    if case.stopped is not None:
        document |= {"sent": case.stopped.sent, "stopped": case.stopped.stopped}
    return document


def _print_outcome(case: PermitCase, as_json: bool) -> None:
    if as_json:
        print_json(case_document(case))
        return
    click.echo(f"{case.permit.id} is {case.permit.state}, until {when(case.permit.until)}")
    if case.stopped is not None:
        click.echo(f"sent to {case.stopped.sent} recipients, stopped for {case.stopped.stopped}")
    if case.permit.review == "open":
        click.echo(f"to be reviewed: gatekeeper permit review {case.permit.id} --by ... --reason ...")


def _print_case(case: PermitCase) -> None:
    permit = case.permit
    click.echo(f"{permit.id}  {permit.state}  {permit.kind} for {permit.scope or 'its mailing'}")
    click.echo(f"answers: {', '.join(permit.rules) or 'no rule'}")
    if permit.subject:
        click.echo(f"subject: {permit.subject!r}")
    for name, values in (("lists", permit.lists), ("agencies", permit.agencies)):
        if values:
            click.echo(f"{name}: {', '.join(values)}")
    click.echo(f"users: {'any number' if permit.ceiling is None else f'at most {permit.ceiling}'}")
    click.echo(f"content: {permit.binding}")
    click.echo(f"from {when(permit.since)} until {when(permit.until)}")
    click.echo(f"used {permit.used} of {permit.uses or 'any number of'} times: {', '.join(permit.mailings) or '-'}")
    if permit.review:
        click.echo(f"review: {permit.review}")
    print_timeline(case.events)
