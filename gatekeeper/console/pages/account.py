"""Show a person their own account: where they are signed in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import SIGNED_IN, PageRoute, checked_form, to, visitor_of
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _


def account(desk: Desk, request: Request) -> Response:
    """Show who is signed in where."""
    visitor = visitor_of(desk, request)
    person = ledger_for(desk, request).ruleset.people.get(visitor.address)
    sessions = desk.signins.sessions(visitor.address)
    return page(desk, request, "account.html", sessions=sessions, roles=person.roles if person else ())


def end_session(desk: Desk, request: Request) -> Response:
    """End one of the visitor's sessions."""
    visitor = checked_form(desk, request)[0]
    desk.signins.end_of(visitor.address, request.path_params["key"])
    desk.said.note(visitor.token, _("The session has ended."))
    return to("/account")


ROUTES = (
    PageRoute("/account", "GET", account, SIGNED_IN, "where somebody is signed in"),
    PageRoute("/account/sessions/{key}/end", "POST", end_session, SIGNED_IN, "ends one of these sessions"),
)
