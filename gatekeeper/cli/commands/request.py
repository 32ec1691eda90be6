"""`gatekeeper request ...`: request a mailing in advance, and decide requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gatekeeper.api.requests import request_case_document, request_document
from gatekeeper.cli.common import NO_INPUT, USAGE, Day, Failure, by_option, parse_number, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import (
    Listing,
    category_option,
    filtered_listing,
    id_argument,
    ids_argument,
    on_each,
    on_the_ledger,
    print_agreements,
    print_stopped,
    print_timeline,
    seen_option,
    terms_of,
    terms_options,
)
from gatekeeper.ledger.service import LedgerService, ListPage, RequestCase, Sought, Wanted
from gatekeeper.lifecycle import WITHOUT_ASKING, RequestState, said
from gatekeeper.notices import say_count
from gatekeeper.store.requests import RequestView

# -- how a request is shown --------------------------------------------------------------------------------------


def _show_outcome(case: RequestCase, as_json: bool) -> None:
    for warning in case.warnings:
        click.echo(f"gatekeeper: {warning}", err=True)
    print_json(request_case_document(case)) if as_json else _print_outcome(case)


def _print_outcome(case: RequestCase) -> None:
    click.echo(f"{case.request.id} is {said(case.request.state)}")
    if permit := case.permit:
        click.echo(f"by permit {permit}; to take it back: gatekeeper permit revoke {permit}")
    if case.request.late:
        click.echo(f"late: the earliest day that could be planned was {case.request.earliest}")
    if case.whose:
        click.echo(f"who must still agree: {case.whose}")
    elif case.request.state is RequestState.UNNEEDED:
        click.echo(WITHOUT_ASKING)
    if case.stopped is not None:
        print_stopped(case.stopped)


def _print_case(case: RequestCase) -> None:
    draft = case.request.draft
    click.echo(f"{case.request.id}  {said(case.request.state)}  {draft.subject!r} of {', '.join(draft.senders)}")
    click.echo(f"version: {case.request.version}")
    click.echo(f"asked by {case.request.requester} for {draft.agency}, to {', '.join(draft.audiences) or 'anybody'}")
    users = say_count(draft.users, "user", "users")
    click.echo(f"at most {users}, planned {draft.planned or '-'}, needed by {draft.needed_by or '-'}")
    click.echo(f"purpose: {draft.purpose or '-'}")
    if case.request.late:
        click.echo(f"late: the earliest day that could be planned was {case.request.earliest}")
    if draft.content:
        _print_content(case)
    click.echo(f"needs: {', '.join(case.needs) or f'nobody: {WITHOUT_ASKING}'}")
    print_agreements(case.agreements, case.whose)
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


def _show_case(found: RequestCase | bytes, as_json: bool) -> None:
    if isinstance(found, bytes):
        click.echo(found, nl=False)
    else:
        print_json(request_case_document(found)) if as_json else _print_case(found)


_COLUMNS: dict[str, Callable[[RequestView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: said(one.state),
    "agency": lambda one: one.draft.agency,
    "users": lambda one: one.draft.users,
    "planned": lambda one: f"{one.draft.planned or ''}{', late' if one.late else ''}",
    "senders": lambda one: ", ".join(one.draft.senders),
    "subject": lambda one: repr(one.draft.subject),
}


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def request() -> None:
    """Request a mailing in advance; list, show and decide requests."""


@request.command()
@click.option("--agency", help="the id of the agency that asks")
@by_option
@click.option(
    "--sender", "senders", multiple=True, help="who sends the mailing: an address, an agency's id, or group:NAME"
)
@click.option("--subject", help="the subject line of the mailing")
@click.option("--planned", type=Day(), help="the day on which the mailing is planned")
@click.option("--users", type=click.IntRange(1), help="the most users that the mailing will reach")
@click.option(
    "--audience", "audiences", multiple=True, help="whom the mailing reaches: a list's address, or an agency's id"
)
@click.option("--purpose", help="what the mailing is for, such as survey or legal notice")
@click.option("--needed-by", type=Day(), help="the day by which the mailing must have been sent")
@click.option("--content", type=click.Path(dir_okay=False, path_type=Path), help="the message itself, as a file")
@click.option("--exception", is_flag=True, default=None, help="ask for a standing permit, until a day")
@click.option(
    "--revise", help="the request to submit again with the changes asked for; flags left out keep their values"
)
@click.option("--appeal", help="the denied request to appeal; flags left out keep their values")
@click.option("--reason", default="", help="what the approvers should know")
@on_the_ledger(_show_outcome)
def submit(
    service: LedgerService, by: str, reason: str, revise: str | None, appeal: str | None, **given: Any
) -> RequestCase:
    """Request a mailing; prints the request's number, and who must agree."""
    if revise and appeal:
        raise Failure("--revise and --appeal: expected one of them", USAGE)
    wanted = _wanted(given)
    if revise or appeal:
        number = parse_number(revise or appeal or "", "R")
        return service.submit_again(number, wanted, by, reason, appeal=bool(appeal))
    return service.submit(wanted, by, reason)


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
@filtered_listing(Listing("requests", RequestState, request_document, _COLUMNS))
def list_requests(service: LedgerService, sought: Sought, by: str) -> ListPage[RequestView]:
    """List the requests, newest first."""
    return service.requests(sought, by)


@request.command()
@id_argument("R")
@click.option("--content", is_flag=True, help="print instead its message; the timeline notes who reads it")
@click.option("--by", help="who looks: an address under people in rules.yaml, or the requester's; default: all facts")
@click.option("--case", default="", help="the case for which an admin or auditor reads the message")
@on_the_ledger(_show_case)
def show(service: LedgerService, id: int, content: bool, by: str | None, case: str) -> RequestCase | bytes:
    """Show one request: what is requested, who must agree, its permit and its timeline."""
    if not content:
        return service.look_at_request(id, by).case if by else service.show_request(id)
    if not by:
        raise Failure("--content: expected --by too, who reads the message", USAGE)
    message = service.read_request(id, by, case)
    if message is None:
        raise Failure(f"R-{id}: it was submitted without content", NO_INPUT)
    return message


@request.command()
@ids_argument("R")
@by_option
@click.option("--reason", default="", help="what the requester should know")
@terms_options
@seen_option
@on_each(request_case_document, _print_outcome)
def approve(service: LedgerService, id: int, by: str, reason: str, seen: str | None, **given: Any) -> RequestCase:
    """Approve a request; once everybody who must agree has, the request gets a permit."""
    return service.approve_request(id, by, reason, terms_of(given), seen)


Verb = Callable[[LedgerService, int, str, str, str | None], RequestCase]


@request.command()
@id_argument("R")
@by_option
@click.option("--whom", required=True, help="who must agree as well: an address under people in rules.yaml")
@click.option("--reason", default="", help="why; they read it")
@on_the_ledger(_show_outcome)
def ask(service: LedgerService, id: int, by: str, whom: str, reason: str) -> RequestCase:
    """Require one more person's approval of a request, such as an owner who is asked only when needed."""
    return service.ask_about_request(id, by, whom, reason)


@request.command()
@ids_argument("R")
@by_option
@click.option("--reason", required=True, help="why; requester and approvers read it")
@category_option
@seen_option
@on_each(request_case_document, _print_outcome)
def deny(service: LedgerService, id: int, by: str, reason: str, category: str, seen: str | None) -> RequestCase:
    """Deny a request; there is no appeal where your decision is final."""
    return service.deny_request(id, by, reason, seen, category)


def _add(name: str, verb: Verb, help: str, *, needs_reason: bool = True) -> None:
    """Add a command `request NAME ID --by --reason --seen` that calls `verb`."""

    @request.command(name, help=help)
    @ids_argument("R")
    @by_option
    @_reason_option(needs_reason)
    @seen_option
    @on_each(request_case_document, _print_outcome)
    def command(service: LedgerService, id: int, by: str, reason: str, seen: str | None) -> RequestCase:
        return verb(service, id, by, reason, seen)


def _reason_option(required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    text = "why; requester and approvers read it"
    if required:
        return click.option("--reason", required=True, help=text)
    return click.option("--reason", default="", help=text)


_add(
    "changes", LedgerService.ask_changes_of_request, "Send a request back to its requester with what should be changed."
)
_add("withdraw", LedgerService.withdraw_request, "Withdraw a request, as its requester.", needs_reason=False)
_add(
    "revoke",
    LedgerService.revoke_request,
    "Revoke an approved request; returns when no message is being sent any more.",
)
