"""Sign people in and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import cookie_name
from gatekeeper.console.pages.common import ANYBODY, SIGNED_IN, PageRoute, Refused, checked_form, to
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.signins import START


def sign_in(desk: Desk, request: Request) -> Response:
    """Say how to sign in."""
    return page(desk, request, "signin.html")


def signin_link(desk: Desk, request: Request) -> Response:
    """Show whose link it is; looking at it changes nothing, so that a program that follows links signs nobody in."""
    link = desk.signins.link(request.path_params["token"])
    if link is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    return page(desk, request, "signin_link.html", address=link.address)


def use_signin_link(desk: Desk, request: Request) -> Response:
    """Sign in by a link, which is used up."""
    address = desk.signins.use(request.path_params["token"])
    if address is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    client = request.client.host if request.client else ""
    token = desk.signins.begin(address, START, client, request.headers.get("user-agent", ""))
    answer = to("/")
    answer.set_cookie(cookie_name(desk), token, secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    return answer


def sign_out(desk: Desk, request: Request) -> Response:
    """End the session."""
    visitor = checked_form(desk, request)[0]
    desk.signins.end(visitor.token)
    answer = to("/signin")
    answer.delete_cookie(cookie_name(desk), secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    return answer


ROUTES = (
    PageRoute("/signin", "GET", sign_in, ANYBODY, "says how to sign in"),
    PageRoute("/signin/start/{token}", "GET", signin_link, ANYBODY, "shows whose one-time link it is"),
    PageRoute("/signin/start/{token}", "POST", use_signin_link, ANYBODY, "signs in by it, once"),
    PageRoute("/signout", "POST", sign_out, SIGNED_IN, "ends the session"),
)
