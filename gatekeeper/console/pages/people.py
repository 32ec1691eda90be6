"""Show admins who may do what and how people sign in; end sessions, remove pins, look after accounts."""

from __future__ import annotations

from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.address import is_valid, normalise
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    ADMIN,
    Given,
    PageRoute,
    agency_names,
    checked_form,
    require_fresh,
    to,
    visitor_of,
)
from gatekeeper.console.pages.entering import not_ours
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger import accounts
from gatekeeper.ledger.context import LedgerError, NotAllowed
from gatekeeper.ledger.people import people, require_admin, require_another
from gatekeeper.ledger.signins import ENROL, PATHS, may_sign_in
from gatekeeper.lib.moments import moment_of
from gatekeeper.ops.log import Address, event
from gatekeeper.rules.ruleset import calendar_of

_HOME = "/people"
_MOST = 200  # rows of a table
_ADD, _RESET, _DISABLE = "add", "reset", "disable"


def people_page(desk: Desk, request: Request) -> Response:
    """Show everybody."""
    return _people(desk, request)


def _people(desk: Desk, request: Request, status: int = 200, **errors: str) -> Response:
    visitor, ruleset = visitor_of(desk, request), ledger_for(desk, request).ruleset
    text = request.query_params.get("q", "").strip()[:100]
    found = people(ruleset, desk.signins, visitor.address, _today(desk, request), text)
    values = {"found": found, "q": text, "most": _MOST, "names": agency_names(desk, request)}
    link, given = desk.codes.take(_link_of(visitor.token)), Given(request.state.form)
    return page(desk, request, "people.html", status, link=link, errors=Given(errors), given=given, **values)


def _today(desk: Desk, request: Request) -> date:
    return calendar_of(ledger_for(desk, request).ruleset).day(moment_of(desk.signins.clock()))


def _link_of(token: str) -> str:
    return f"link of {token}"


def _admin_form(desk: Desk, request: Request) -> tuple[str, str, dict[str, str]]:
    """Return an admin's token and address, and the form that they send. Raises NotAllowed, Refused."""
    visitor, form = checked_form(desk, request)
    require_admin(ledger_for(desk, request).ruleset, visitor.address)
    return visitor.token, visitor.address, form


def end_session(desk: Desk, request: Request) -> Response:
    """End anybody's session."""
    token, by, _form = _admin_form(desk, request)
    ended = desk.signins.end_of(None, request.path_params["key"], by)
    _note(request, "session ended", ended.address, by)
    desk.said.note(token, _("A session of %(who)s has ended.") % {"who": ended.address})
    return to(_HOME)


def unpin(desk: Desk, request: Request) -> Response:
    """Remove the pin of an address: whoever claims it next has it."""
    token, by, form = _admin_form(desk, request)
    require_fresh(desk, request, _HOME)
    address = form.get("address", "")
    desk.signins.unpin(address, by)
    _note(request, "pin removed", address, by)
    desk.said.note(token, _("Whoever signs in as %(who)s next at the issuer has the address.") % {"who": address})
    return to(_HOME)


def change_account(desk: Desk, request: Request) -> Response:
    """Make an account, take away by what it is opened, or disable it."""
    token, by, form = _admin_form(desk, request)
    require_fresh(desk, request, _HOME)
    given, act = form.get("address", "").strip(), form.get("act")
    if not is_valid(given):
        return _people(desk, request, 422, address=_("Write a mail address, such as name@example.gov."))
    address = normalise(given)
    if act == _ADD and not may_sign_in(ledger_for(desk, request).ruleset, address):
        return _people(desk, request, 422, address=not_ours(address))
    try:
        told = _changed(desk, token, address, by, act)
    except NotAllowed:
        raise
    except LedgerError as error:
        return _people(desk, request, 422, address=str(error))
    _note(request, f"account {act}", address, by)
    desk.said.note(token, told)
    return to(_HOME)


def _changed(desk: Desk, token: str, address: str, by: str, act: str | None) -> str:
    """Change an account; return what is told. Raises LedgerError."""
    if act != _ADD:
        require_another(address, by)
    if act == _DISABLE:
        accounts.disable_account(desk.signins, address, by)
        return _("%(who)s is disabled, and signed out everywhere.") % {"who": address}
    make = accounts.reset_account if act == _RESET else accounts.add_account
    desk.codes.note(_link_of(token), f"{desk.url}{PATHS[ENROL]}{make(desk.signins, address, by)}")
    return _("Hand the link below to %(who)s: it is shown once.") % {"who": address}


def _note(request: Request, what: str, address: str, by: str) -> None:
    event(what, {"who": Address(address), "by": Address(by), "id": request.state.id})


ROUTES = (
    PageRoute("/people", "GET", people_page, ADMIN, "everybody's roles, delegations, sessions, pins, accounts"),
    PageRoute("/people/sessions/{key}/end", "POST", end_session, ADMIN, "ends anybody's session"),
    PageRoute("/people/pins", "POST", unpin, ADMIN, "removes a pin, within ten minutes of signing in"),
    PageRoute("/people/accounts", "POST", change_account, ADMIN, "makes, resets or disables an account, likewise"),
)
