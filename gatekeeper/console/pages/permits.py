"""Show permits, take them back or narrow them, close reviews, give exceptions, declare emergencies."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    DECIDER,
    REQUESTER,
    SIGHT,
    SIGNED_IN,
    Given,
    PageRoute,
    Refused,
    agency_names,
    checked_form,
    once,
    read_number,
    visitor_of,
)
from gatekeeper.console.pages.decision_form import read_day
from gatekeeper.console.pages.list_form import read_list
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _, plural
from gatekeeper.ledger.permits import LONGEST_EMERGENCY, PermitCase
from gatekeeper.ledger.service import Exempted, LedgerError, Narrowed, NotAllowed, Stale
from gatekeeper.ledger.sight import asked_for_agencies
from gatekeeper.lifecycle import PermitState
from gatekeeper.model import Action, Scope

_KINDS = ("approval", "exception", "emergency")
_REVIEWS = ("open", "closed")


def permits(desk: Desk, request: Request) -> Response:
    """Show the permits that this person may see."""
    visitor = visitor_of(desk, request)
    sought = read_list(request, states=PermitState, kinds=_KINDS, reviews=_REVIEWS)
    ledger = ledger_for(desk, request)
    found, mine = ledger.permits(sought, visitor.address), ledger.decides(visitor.address)
    options: dict[str, Any] = {"states": list(PermitState), "kinds": _KINDS, "reviews": _REVIEWS, "decides": mine}
    return page(desk, request, "permits.html", found=found, sought=sought, **options)


def permit(desk: Desk, request: Request) -> Response:
    """Show one permit, with the forms for what this person may do."""
    return _permit(desk, request)


def _permit(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    seen = ledger_for(desk, request).look_at_permit(request.path_params["number"], visitor_of(desk, request).address)
    values = {"errors": {}, "given": {}, "differences": (), "opened": "", **more}
    values = {**values, "errors": Given(values["errors"]), "given": Given(values["given"])}
    return page(desk, request, "permit.html", status, seen=seen, names=agency_names(desk, request), **values)


def narrow(desk: Desk, request: Request) -> Response:
    """Lower the limits of a permit."""
    form = checked_form(desk, request)[1]
    errors: dict[str, str] = {}
    try:
        users, until, uses = (form.get(name, "").strip() for name in ("max_users", "until", "uses"))
        most = read_number(users, _("Write the number of users in digits, such as 2400."))
        to_day, number = read_day(until), read_number(uses, _("Write the number of mailings in digits, such as 1."))
    except ValueError as error:
        return _permit(desk, request, 422, errors={"narrow": str(error)}, given=form, opened="narrow")
    if not any((users, until, uses)):
        errors["narrow"] = _("Say what to lower: the users, the last day, or the mailings.")
    return _act(desk, request, "narrow", errors, Narrowed(most, to_day, number))


def revoke(desk: Desk, request: Request) -> Response:
    """Take a permit back: what has not left is held."""
    return _act(desk, request, "revoke", {})


def review(desk: Desk, request: Request) -> Response:
    """Close the review of an emergency."""
    return _act(desk, request, "review", {})


def _act(desk: Desk, request: Request, name: str, errors: dict[str, str], to: Narrowed | None = None) -> Response:
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)
    reason, seen = form.get("reason", "").strip(), form.get("seen") or None
    ledger.look_at_permit(number, visitor.address)
    if not reason:
        found = _("Say what you found: the agency and the auditors read it.")
        why = _("Say why: who sends mail under it reads it, and reviews do.")
        errors["reason"] = found if name == "review" else why
    if errors:
        return _permit(desk, request, 422, errors=errors, given=form, opened=name)

    def act() -> tuple[str, str]:
        if to is not None:
            case = ledger.narrow(number, visitor.address, reason, to, seen)
        elif name == "revoke":
            case = ledger.revoke(number, visitor.address, reason, seen)
        else:
            case = ledger.review_permit(number, visitor.address, reason)
        return f"/permits/P-{number}", _told(case)

    try:
        return once(desk, request, f"/permits/P-{number}", act)
    except Stale as stale:
        return _permit(desk, request, 409, differences=stale.differences, given=form, opened=name)


def _told(case: PermitCase) -> str:
    told = _("%(id)s is %(state)s.") % {"id": case.permit.id, "state": _(case.permit.state.value)}
    if case.stopped is not None:
        sent = plural("Sent to %(n)s recipient", "Sent to %(n)s recipients", case.stopped.sent)
        told += " " + _("%(sent)s, stopped for %(n)s.") % {"sent": sent, "n": f"{case.stopped.stopped:,}"}
    if case.permit.review == "closed":
        told += " " + _("Its review is closed.")
    return told


# -- giving ------------------------------------------------------------------------------------------------------


def new_exception(desk: Desk, request: Request) -> Response:
    """Show the form for a standing exception."""
    return _exception(desk, request)


def _exception(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    ledger = ledger_for(desk, request)
    ruleset = ledger.ruleset
    if not ledger.decides(visitor_of(desk, request).address):
        raise Refused(403, _("an exception is given by those who decide about mailings: ask for one by a request"))
    rules = [rule.id for rule in ruleset.rules if rule.action is Action.HOLD]
    values = {"errors": Given(more.get("errors", {})), "given": Given(more.get("given", {}))}
    lists = sorted(ruleset.lists)
    return page(
        desk, request, "exception.html", status, rules=rules, lists=lists, names=agency_names(desk, request), **values
    )


def grant_exception(desk: Desk, request: Request) -> Response:
    """Let the mail of somebody pass until a day."""
    visitor, form = checked_form(desk, request)
    ledger, errors = ledger_for(desk, request), {}
    values = {name: form.get(name, "").strip() for name in ("sender", "agency", "group", "list", "rule", "subject")}
    reason, until, most = form.get("reason", "").strip(), None, None
    try:
        until = read_day(form.get("until", "").strip())
    except ValueError as error:
        errors["until"] = str(error)
    try:
        most = read_number(form.get("max_users", "").strip(), _("Write the number of users in digits, such as 2400."))
    except ValueError as error:
        errors["max_users"] = str(error)
    if not (values["sender"] or values["agency"] or values["group"]):
        errors["sender"] = _("Say whose mail passes: an address, an agency or a group.")
    if until is None and "until" not in errors:
        errors["until"] = _("Say on which day it ends.")
    if not reason:
        errors["reason"] = _("Say why: an exception stands in reports with its reason.")
    if errors or until is None:
        return _exception(desk, request, 422, errors=errors, given=form)
    scope = Scope(_one(values["sender"].lower()), _one(values["agency"]), _one(values["group"]))
    one_list, one_rule = tuple(_one(values["list"])), tuple(_one(values["rule"]))
    wanted = Exempted(scope, until, one_rule, values["subject"], one_list, most)

    def act() -> tuple[str, str]:
        case = ledger.grant_exception(wanted, visitor.address, reason)
        return f"/permits/{case.permit.id}", _("%(id)s is given.") % {"id": case.permit.id}

    try:
        return once(desk, request, "/permits", act)
    except NotAllowed:
        raise
    except LedgerError as error:
        return _exception(desk, request, 422, errors={"form": str(error)}, given=form)


def _one(text: str) -> frozenset[str]:
    return frozenset({text} if text else ())


def emergency(desk: Desk, request: Request) -> Response:
    """Show the form that declares an emergency."""
    return _emergency(desk, request)


def _emergency(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    ruleset, visitor = ledger_for(desk, request).ruleset, visitor_of(desk, request)
    agencies = asked_for_agencies(ruleset, visitor.address)
    if not agencies:
        raise Refused(403, _("an emergency is declared by a requester of the agency, or by an approver"))
    names = {id: name for id, name in agency_names(desk, request).items() if id in agencies}
    values = {"errors": Given(more.get("errors", {})), "given": Given(more.get("given", {}))}
    return page(desk, request, "emergency.html", status, names=names, longest=LONGEST_EMERGENCY, **values)


def declare_emergency(desk: Desk, request: Request) -> Response:
    """Let the mail of an agency pass for some hours, to be reviewed afterwards."""
    visitor, form = checked_form(desk, request)
    ledger, errors = ledger_for(desk, request), {}
    agency, reason, hours = (form.get(name, "").strip() for name in ("agency", "reason", "hours"))
    if agency not in ledger.ruleset.agencies:
        errors["agency"] = _("Choose the agency whose mail is to pass.")
    if not (hours.isdecimal() and len(hours) < 4 and 0 < int(hours) <= LONGEST_EMERGENCY):
        errors["hours"] = _("Write for how many hours, in digits: 1 to %(most)s.") % {"most": LONGEST_EMERGENCY}
    if not reason:
        errors["reason"] = _("Say what has happened: everybody who decides reads it, and reviews it afterwards.")
    if form.get("sure") != "yes":
        errors["sure"] = _("Say that you have understood what an emergency does.")
    if errors:
        return _emergency(desk, request, 422, errors=errors, given=form)

    def act() -> tuple[str, str]:
        case = ledger.declare_emergency(agency, visitor.address, reason, float(hours))
        told = _("%(id)s is in force: mail of %(agency)s passes now. It is to be reviewed by an approver.")
        return f"/permits/{case.permit.id}", told % {"id": case.permit.id, "agency": agency}

    return once(desk, request, "/permits", act)


ROUTES = (
    PageRoute("/permits", "GET", permits, SIGNED_IN, "the permits that a person may see"),
    PageRoute("/permits/P-{number:int}", "GET", permit, SIGHT, "one permit, and who has used it"),
    PageRoute("/permits/P-{number:int}/narrow", "POST", narrow, DECIDER, "lowers its limits"),
    PageRoute("/permits/P-{number:int}/revoke", "POST", revoke, DECIDER, "takes it back"),
    PageRoute("/permits/P-{number:int}/review", "POST", review, DECIDER, "closes the review of an emergency"),
    PageRoute("/permits/new", "GET", new_exception, DECIDER, "the form for an exception"),
    PageRoute("/permits/new", "POST", grant_exception, DECIDER, "lets somebody's mail pass until a day"),
    PageRoute("/emergency", "GET", emergency, REQUESTER, "the form that declares an emergency"),
    PageRoute("/emergency", "POST", declare_emergency, REQUESTER, "lets an agency's mail pass for some hours"),
)
