"""Show suspensions, begin them and end them (C10)."""

from __future__ import annotations

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import APPROVER, Given, PageRoute, Refused, checked_form, once, visitor_of
from gatekeeper.console.pages.decision_form import read_day
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.service import LedgerError, NotAllowed
from gatekeeper.ledger.suspensions import KINDS, may_suspend
from gatekeeper.lifecycle import SuspensionState


def suspensions(desk: Desk, request: Request) -> Response:
    """Show the suspensions, and the form for a new one."""
    return _suspensions(desk, request)


def _suspensions(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    ledger, state = ledger_for(desk, request), request.query_params.get("state") or None
    if not may_suspend(ledger.ruleset, visitor_of(desk, request).address):
        raise Refused(403, _("suspensions are for approvers and admins"))
    states = list(SuspensionState)
    if state is not None and state not in {each.value for each in states}:
        raise Refused(404, _("no such state: expected one of %(all)s") % {"all": ", ".join(states)})
    values = {"errors": Given(more.get("errors", {})), "given": Given(more.get("given", {}))}
    rows, agencies = ledger.suspensions(state), ledger.ruleset.agencies
    return page(
        desk, request, "suspensions.html", status, rows=rows, state=state, states=states, agencies=agencies, **values
    )


def suspend(desk: Desk, request: Request) -> Response:
    """Keep somebody from mass mail until a day."""
    visitor, form = checked_form(desk, request)
    ledger = ledger_for(desk, request)
    kind, name, reason = (form.get(each, "").strip() for each in ("kind", "name", "reason"))
    until, errors = _wrong(form)
    if errors or until is None:
        return _suspensions(desk, request, 422, errors=errors, given=form)
    last = until

    def act() -> tuple[str, str]:
        made = ledger.suspend(kind, name, visitor.address, reason, last)
        return "/suspensions", _("%(id)s: %(kind)s %(name)s is suspended.") % {
            "id": made.id,
            "kind": _(kind),
            "name": made.name,
        }

    try:
        return once(desk, request, "/suspensions", act)
    except NotAllowed:
        raise
    except LedgerError as error:
        return _suspensions(desk, request, 422, errors={"form": str(error)}, given=form)


def _wrong(form: dict[str, str]) -> tuple[date | None, dict[str, str]]:
    """Return the last day of a suspension, and what is wrong with its form."""
    errors, until = {}, None
    if form.get("kind") not in KINDS:
        errors["kind"] = _("Choose who is suspended: a sender, a group or an agency.")
    if not form.get("name", "").strip():
        errors["name"] = _("Write the address, the name of the group, or the id of the agency.")
    try:
        until = read_day(form.get("until", "").strip())
        if until is None:
            errors["until"] = _("Say on which day it ends.")
    except ValueError as error:
        errors["until"] = str(error)
    if not form.get("reason", "").strip():
        errors["reason"] = _("Say why: whoever is suspended reads it.")
    return until, errors


def end(desk: Desk, request: Request) -> Response:
    """End a suspension before its time."""
    visitor, form = checked_form(desk, request)
    number, ledger = request.path_params["number"], ledger_for(desk, request)

    def act() -> tuple[str, str]:
        ended = ledger.end_suspension(number, visitor.address, form.get("reason", "").strip())
        return "/suspensions", _("%(id)s has ended.") % {"id": ended.id}

    return once(desk, request, "/suspensions", act)


ROUTES = (
    PageRoute("/suspensions", "GET", suspensions, APPROVER, "who may send no mass mail, and until when"),
    PageRoute("/suspensions", "POST", suspend, APPROVER, "keeps somebody from mass mail until a day"),
    PageRoute("/suspensions/S-{number:int}/end", "POST", end, APPROVER, "ends a suspension before its time"),
)
