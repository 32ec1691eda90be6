"""`gatekeeper request ...`: ask for a mailing in advance, and decide about what is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gatekeeper.casework import Casework, RequestCase, Wanted
from gatekeeper.cli.cases import (
    ledger_options,
    open_casework,
    print_timeline,
    terms_of,
    terms_options,
    timeline_document,
)
from gatekeeper.cli.common import (
    NO_INPUT,
    USAGE,
    Day,
    Failure,
    by_option,
    json_option,
    parse_number,
    print_json,
    settings_of,
    when,
)
from gatekeeper.lifecycle import RequestState
from gatekeeper.store.requests import RequestView


@click.group()
def request() -> None:
    """Ask for a mailing in advance; list, show and decide what is asked."""


@request.command()
@click.option("--agency", help="the id of the agency that asks")
@by_option
@click.option("--sender", "senders", multiple=True, help="who sends it: an address, an agency's id, or group:NAME")
@click.option("--subject", help="its subject line")
@click.option("--planned", type=Day(), help="the day on which it is planned to be sent")
@click.option("--users", type=click.IntRange(1), help="users that it is to reach at most")
@click.option("--audience", "audiences", multiple=True, help="whom: a list's address, or an agency's id")
@click.option("--purpose", help="what it is for, such as survey or legal notice")
@click.option("--needed-by", type=Day(), help="the day by which it must have been sent")
@click.option("--content", type=click.Path(dir_okay=False, path_type=Path), help="the message itself, as a file")
@click.option("--exception", is_flag=True, default=None, help="ask for a standing permit, until a day")
@click.option("--revise", help="the request that this submits again, changed as was asked; flags left out stay")
@click.option("--appeal", help="the denied request that this appeals; flags left out stay")
@click.option("--reason", default="", help="what those who decide should know")
@ledger_options
@json_option
def submit(by: str, reason: str, revise: str | None, appeal: str | None, as_json: bool, **given: Any) -> None:
    """Ask for a mailing; prints its number, and whose yes it needs."""
    if revise and appeal:
        raise Failure("--revise and --appeal: expected one of them", USAGE)
    wanted = _wanted(given)
    with open_casework(settings_of(given)) as casework:
        if revise or appeal:
            number = parse_number(revise or appeal or "", "R")
            case = casework.submit_again(number, wanted, by, reason, appeal=bool(appeal))
        else:
            case = casework.submit(wanted, by, reason)
    _print_outcome(case, as_json)


def _wanted(given: dict[str, Any]) -> Wanted:
    names = ("agency", "subject", "purpose", "users", "planned", "needed_by", "exception")
    values = {name: given.pop(name) for name in names}
    lists = {name: given.pop(name) or None for name in ("senders", "audiences")}
    path: Path | None = given.pop("content")
    return Wanted(**values, **lists, content=_read(path) if path else None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None


@request.command("list")
@click.option("--state", type=click.Choice([state.value for state in RequestState]), help="only those in this state")
@ledger_options
@json_option
def list_requests(state: str | None, as_json: bool, **given: Any) -> None:
    """List the requests, newest first."""
    with open_casework(settings_of(given)) as casework:
        found = casework.requests(state)
    if as_json:
        print_json([as_document(one) for one in found])
        return
    for one in found:
        draft = one.draft
        late = "  late" if one.late else ""
        click.echo(
            f"{one.id:<8} {one.state:<10} {draft.agency:<8} {draft.users:>6} users  {draft.planned or '-'}{late}  "
            f"{', '.join(draft.senders)}  {draft.subject!r}"
        )
    if not found:
        click.echo("no requests" + (f" that are {state}" if state else ""))


@request.command()
@click.argument("id")
@click.option("--content", is_flag=True, help="print the message that it is bound to, instead")
@ledger_options
@json_option
def show(id: str, content: bool, as_json: bool, **given: Any) -> None:
    """Show one request: what is asked, who must agree, its permit and its timeline."""
    number = parse_number(id, "R")
    with open_casework(settings_of(given)) as casework:
        if content:
            message = casework.request_content(number)
            if message is None:
                raise Failure(f"R-{number}: it was submitted without content", NO_INPUT)
            click.echo(message, nl=False)
            return
        case = casework.show_request(number)
    print_json(case_document(case)) if as_json else _print_case(case)


@request.command()
@click.argument("id")
@by_option
@click.option("--reason", default="", help="what the requester is to know about it")
@terms_options
@ledger_options
@json_option
def approve(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
    """Say yes; once everyone who is asked has, the request has a permit."""
    terms = terms_of(given)
    with open_casework(settings_of(given)) as casework:
        case = casework.approve_request(parse_number(id, "R"), by, reason, terms)
    _print_outcome(case, as_json)


Verb = Callable[[Casework, int, str, str], RequestCase]


@request.command()
@click.argument("id")
@by_option
@click.option("--whom", required=True, help="whose yes it needs as well: an address under people in rules.yaml")
@ledger_options
@json_option
def ask(id: str, by: str, whom: str, as_json: bool, **given: Any) -> None:
    """Have one more agree, such as an owner who is asked only when needed."""
    with open_casework(settings_of(given)) as casework:
        _print_outcome(casework.ask_about_request(parse_number(id, "R"), by, whom), as_json)


def _add(name: str, verb: Verb, help: str, *, needs_reason: bool = True) -> None:
    """A command that takes a request, who acts, and why."""

    @request.command(name, help=help)
    @click.argument("id")
    @by_option
    @_reason_option(needs_reason)
    @ledger_options
    @json_option
    def command(id: str, by: str, reason: str, as_json: bool, **given: Any) -> None:
        with open_casework(settings_of(given)) as casework:
            case = verb(casework, parse_number(id, "R"), by, reason)
        _print_outcome(case, as_json)


def _reason_option(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    text = "why: those whom it concerns read it"
    if required:
        return click.option("--reason", required=True, help=text)
    return click.option("--reason", default="", help=text)


_add("deny", Casework.deny_request, "Say no; for good, where your decision is final.")
_add("changes", Casework.ask_changes_of_request, "Send it back with what should be changed.")
_add("withdraw", Casework.withdraw_request, "Take it back, as who asked for it.", needs_reason=False)
_add("revoke", Casework.revoke_request, "Take back what was approved; returns when nothing is on its way any more.")


# -- how a request is shown --------------------------------------------------------------------------------------


def as_document(request: RequestView) -> dict[str, Any]:
    """A request in JSON."""
    draft = request.draft
    return {
        "id": request.id,
        "state": request.state.value,
        "agency": draft.agency,
        "requester": request.requester,
        "senders": list(draft.senders),
        "subject": draft.subject,
        "purpose": draft.purpose,
        "audiences": list(draft.audiences),
        "users": draft.users,
        "planned": draft.planned and draft.planned.isoformat(),
        "needed_by": draft.needed_by and draft.needed_by.isoformat(),
        "exception": draft.exception,
        "content": draft.content and draft.content.digest,
        "late": request.late,
        "earliest": request.earliest and request.earliest.isoformat(),
        "rules": list(request.rules),
        "permits": list(request.permits),
        "appealed": request.appealed,
        "final": request.final,
        "reason": request.reason,
        "decided_by": request.decided_by,
        "submitted": when(request.submitted_at),
        "changed": when(request.changed_at),
    }


def case_document(case: RequestCase) -> dict[str, Any]:
    """A request in JSON with all that belongs to it."""
    document = {
        **as_document(case.request),
        "needs": list(case.needs),
        "missing": list(case.missing),
        "permit": case.permit or next((permit.id for permit in reversed(case.permits)), None),
        "timeline": timeline_document(case.events),
    }
    if case.stopped is not None:
        document |= {"sent": case.stopped.sent, "stopped": case.stopped.stopped}
    return document


def _print_outcome(case: RequestCase, as_json: bool) -> None:
    if as_json:
        print_json(case_document(case))
        return
    click.echo(f"{case.request.id} is {case.request.state}" + (f", {case.permit}" if case.permit else ""))
    if case.request.late:
        click.echo(f"late: the earliest day that could be planned was {case.request.earliest}")
    if case.missing:
        click.echo(f"who must still agree: {', '.join(case.missing)}")
    elif case.request.state is RequestState.SUBMITTED:
        click.echo("needs nobody: no rule holds such a mailing")
    if case.stopped is not None:
        click.echo(f"sent to {case.stopped.sent} recipients, stopped for {case.stopped.stopped}")


def _print_case(case: RequestCase) -> None:
    draft = case.request.draft
    click.echo(f"{case.request.id}  {case.request.state}  {draft.subject!r} of {', '.join(draft.senders)}")
    click.echo(f"asked by {case.request.requester} for {draft.agency}, to {', '.join(draft.audiences) or 'anybody'}")
    click.echo(f"at most {draft.users} users, planned {draft.planned or '-'}, needed by {draft.needed_by or '-'}")
    click.echo(f"purpose: {draft.purpose or '-'}")
    if case.request.late:
        click.echo(f"late: the earliest day that could be planned was {case.request.earliest}")
    if draft.content:
        _print_content(case)
    click.echo(f"needs: {', '.join(case.needs) or 'nobody: no rule holds such a mailing'}")
    if case.missing:
        click.echo(f"who must still agree: {', '.join(case.missing)}")
    if case.request.permits:
        click.echo(f"permits: {', '.join(case.request.permits)}")
    print_timeline(case.events)


def _print_content(case: RequestCase) -> None:
    content = case.request.draft.content
    if content is None:
        return
    click.echo(f"content: {content.digest}")
    for name, values in (("links", content.likeness.links), ("attachments", content.likeness.attachments)):
        if values:
            click.echo(f"{name}: {', '.join(sorted(values))}")
