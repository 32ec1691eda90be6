"""Serve what belongs to no subject: the first page, the statement on accessibility, files, the sign of life."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import ANYBODY, SIGNED_IN, PageRoute, Refused, to, visitor_of
from gatekeeper.console.rendering import STATIC, page
from gatekeeper.console.words import _
from gatekeeper.ledger.sight import asks


def home(desk: Desk, request: Request) -> Response:
    """Lead to the page that this person came for."""
    visitor = visitor_of(desk, request)
    ledger = ledger_for(desk, request)
    ruleset = ledger.ruleset
    if ledger.decides(visitor.address):
        return to("/waiting")
    if asks(ruleset, visitor.address):
        return to("/requests")
    person = ruleset.people.get(visitor.address)
    return to("/health" if person and "admin" in person.roles else "/mailings?mine=1")


def accessibility(desk: Desk, request: Request) -> Response:
    """Show the statement on accessibility."""
    return page(desk, request, "accessibility.html")


def alive(desk: Desk, request: Request) -> Response:
    """Answer that the process is there."""
    return Response("ok\n", media_type="text/plain")


def static(desk: Desk, request: Request) -> Response:
    """Return a file that pages load; its path changes with its content, so it may be kept for ever."""
    found = STATIC.get(request.url.path)
    if found is None:
        raise Refused(404, _("no such file"))
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(found[1], headers=headers, media_type=found[2])


ROUTES = (
    PageRoute("/", "GET", home, SIGNED_IN, "leads to the page that a person comes for"),
    PageRoute("/accessibility", "GET", accessibility, ANYBODY, "the statement on accessibility"),
    PageRoute("/livez", "GET", alive, ANYBODY, "whether the process is there"),
    PageRoute("/static/{digest}/{name}", "GET", static, ANYBODY, "style of the pages"),
)
