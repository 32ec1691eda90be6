"""Show requests, and decide them by the forms of their pages (M2, S2)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console import frame
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import FRAME_POLICY, ledger_for
from gatekeeper.console.pages.common import (
    CONTENT,
    DECIDER,
    OWNER,
    SIGHT,
    SIGNED_IN,
    Given,
    PageRoute,
    Refused,
    agency_names,
    checked_form,
    count_content,
    note_opened,
    once,
    to,
    visitor_of,
)
from gatekeeper.console.pages.decisions import decide_by_form, on_requests
from gatekeeper.console.pages.list_form import read_list
from gatekeeper.console.pages.request_draft import written_again
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _, plural
from gatekeeper.ledger.service import LedgerService, NotAllowed, RequestCase, Stale
from gatekeeper.ledger.sight import Sight, asks
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lifecycle import RequestState, said


def requests(desk: Desk, request: Request) -> Response:
    """Show the requests that this person may see."""
    visitor, ledger = visitor_of(desk, request), ledger_for(desk, request)
    sought = read_list(request, states=RequestState)
    found = ledger.requests(sought, visitor.address)
    may_ask = asks(ledger.ruleset, visitor.address)
    begun = ledger.begun(visitor.address) if may_ask else None
    names = agency_names(desk, request)
    options: dict[str, Any] = {"states": list(RequestState), "may_ask": may_ask, "begun": begun, "names": names}
    return page(desk, request, "requests.html", found=found, sought=sought, **options)


def request_page(desk: Desk, request: Request) -> Response:
    """Show one request, with the forms for what this person may do."""
    return _request(desk, request)


def _request(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    ledger, by = ledger_for(desk, request), visitor_of(desk, request).address
    seen = ledger.look_at_request(request.path_params["number"], by)
    note_opened(desk, visitor_of(desk, request), seen.case.request.id, seen.case.request.version)
    values = {"errors": {}, "given": {}, "differences": (), **more}
    values = {**values, "errors": Given(values["errors"]), "given": Given(values["given"])}
    options: dict[str, Any] = {
        "seen": seen,
        "one": seen.case.request,
        "reads": seen.sight is Sight.CONTENT and seen.case.request.draft.content is not None,
        "names": agency_names(desk, request),
        "bindings": BINDINGS,
        "denials": ledger.ruleset.denials,
        "steps": _steps(seen.case),
    }
    return page(desk, request, "request.html", status, **options, **values)


def _steps(case: RequestCase) -> list[tuple[str, bool]]:
    """Return how far a request has come: the names of its steps, and whether each is reached (M5)."""
    state, events = case.request.state, {event.act for event in case.events}
    decided = state in (RequestState.APPROVED, RequestState.USED, RequestState.REVOKED)
    looked = decided or bool(events & {"read", "agreed"}) or state is not RequestState.SUBMITTED
    return [
        (_("Received"), True),
        (_("Being looked at"), looked),
        (_("Approved"), decided),
        (_("Sent"), state is RequestState.USED),
    ]


def decide(desk: Desk, request: Request) -> Response:
    """Approve, deny or send back a request, by the form of its page."""
    return decide_by_form(desk, request, on_requests(ledger_for(desk, request)), _request, _told)


def _told(case: RequestCase) -> str:
    if case.whose and case.agreements.people:
        return _("Noted. Still to agree: %(who)s.") % {"who": case.whose}
    told = _("%(id)s is %(state)s.") % {"id": case.request.id, "state": _(said(case.request.state))}
    if case.permit:
        told += " " + _("Its permit is %(id)s.") % {"id": case.permit}
    if case.stopped is not None:
        sent = plural("Sent to %(n)s recipient", "Sent to %(n)s recipients", case.stopped.sent)
        told += " " + _("%(sent)s, stopped for %(n)s.") % {"sent": sent, "n": f"{case.stopped.stopped:,}"}
    return told


def ask(desk: Desk, request: Request) -> Response:
    """Have one more person agree (T7)."""
    visitor, form = checked_form(desk, request)
    number, whom = request.path_params["number"], form.get("whom", "").strip()
    ledger = ledger_for(desk, request)
    ledger.look_at_request(number, visitor.address)
    if not whom:
        return _request(desk, request, 422, errors={"whom": _("Write whose agreement is needed, too.")}, given=form)

    def act() -> tuple[str, str]:
        ledger.ask_about_request(number, visitor.address, whom)
        return f"/requests/R-{number}", _("%(who)s is asked as well.") % {"who": whom}

    return once(desk, request, f"/requests/R-{number}", act)


def withdraw(desk: Desk, request: Request) -> Response:
    """Withdraw a request."""
    return _take_back(desk, request, LedgerService.withdraw_request, needs_reason=False)


def revoke(desk: Desk, request: Request) -> Response:
    """Revoke an approved request: nothing more leaves under it."""
    return _take_back(desk, request, LedgerService.revoke_request, needs_reason=True)


def _take_back(desk: Desk, request: Request, verb: Any, *, needs_reason: bool) -> Response:
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    reason, seen = form.get("reason", "").strip(), form.get("seen") or None
    ledger.look_at_request(number, visitor.address)
    if needs_reason and not reason:
        return _request(desk, request, 422, errors={"back": _("Say why: who sends it reads it.")}, given=form)

    def act() -> tuple[str, str]:
        return f"/requests/R-{number}", _told(verb(ledger, number, visitor.address, reason, seen))

    try:
        return once(desk, request, f"/requests/R-{number}", act)
    except Stale as stale:
        return _request(desk, request, 409, differences=stale.differences, given=form)


def again(desk: Desk, request: Request) -> Response:
    """Begin to answer what was asked for, or to appeal: the request's words go into the steps of a new one."""
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    seen = ledger.look_at_request(number, visitor.address)
    appeals = form.get("appeal") == "yes"
    if ("appeal" if appeals else "revise") not in seen.may:
        raise Refused(403, _("this request cannot be submitted again by you, or not now"))
    ledger.keep_begun(written_again(seen.case, appeals=appeals), visitor.address)
    return to("/requests/new/check")


def message(desk: Desk, request: Request) -> Response:
    """Return the message that a request is bound to, for the frame of its page; reading it is noted first."""
    count_content(desk, request)
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    try:
        content = ledger_for(desk, request).read_request(number, visitor.address)
    except NotAllowed as error:
        raise Refused(404, _("no such message, or it is not for you")) from error
    if content is None:
        raise Refused(404, _("this request has no message"))
    headers = {"content-security-policy": FRAME_POLICY}
    return Response(frame.rendered(content), headers=headers, media_type="text/html; charset=utf-8")


ROUTES = (
    PageRoute("/requests", "GET", requests, SIGNED_IN, "the requests that a person may see"),
    PageRoute("/requests/R-{number:int}", "GET", request_page, SIGHT, "one request, its permits and its timeline"),
    PageRoute("/requests/R-{number:int}/decision", "POST", decide, DECIDER, "approves, denies, sends back"),
    PageRoute("/requests/R-{number:int}/ask", "POST", ask, DECIDER, "has one more person agree"),
    PageRoute("/requests/R-{number:int}/withdraw", "POST", withdraw, OWNER, "withdraws it"),
    PageRoute("/requests/R-{number:int}/revoke", "POST", revoke, DECIDER, "revokes it after its approval"),
    PageRoute("/requests/R-{number:int}/again", "POST", again, OWNER, "begins to change it, or to appeal"),
    PageRoute("/requests/R-{number:int}/message", "GET", message, CONTENT, "its message, in a frame"),
)
