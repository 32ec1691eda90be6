"""Sign people in and out: the ways to, links that a command has printed, what a proxy says."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import cookie_name, named_by_proxy
from gatekeeper.console.pages.common import ANYBODY, SIGNED_IN, PageRoute, Refused, checked_form, to, visitor_of
from gatekeeper.console.pages.entering import count_try, enter, place_after, require_method
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.signins import OIDC, PROXY, START, Proof


def sign_in(desk: Desk, request: Request) -> Response:
    """Show the ways to sign in."""
    return _ways(desk, request, again=False)


def sign_in_again(desk: Desk, request: Request) -> Response:
    """Show them to somebody who has to show again who they are; what a proxy says is not enough for that."""
    visitor_of(desk, request)
    return _ways(desk, request, again=True)


def _ways(desk: Desk, request: Request, again: bool) -> Response:
    methods = [each for each in desk.signing_in.signin if not (again and each == PROXY)]
    place = place_after(request)
    if desk.oidc:
        desk.oidc.learn()
    return page(desk, request, "signin.html", methods=methods, again=again, next=place, issuer=desk.issuer)


def signin_link(desk: Desk, request: Request) -> Response:
    """Show whose link it is; looking at it changes nothing, so that a program that follows links signs nobody in."""
    link = desk.signins.link(request.path_params["token"])
    if link is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    return page(desk, request, "signin_link.html", address=link.address)


def use_signin_link(desk: Desk, request: Request) -> Response:
    """Sign in by a link, which is used up."""
    count_try(desk, request)
    link = desk.signins.use(request.path_params["token"])
    if link is None:
        raise Refused(404, _("this link was used already, or its time is over: ask for a new one"))
    return enter(desk, request, Proof(link.address, START), "/")


def sign_in_by_proxy(desk: Desk, request: Request) -> Response:
    """Sign in as whom the proxy names."""
    require_method(desk, PROXY)
    address = named_by_proxy(desk, request)
    if address is None:
        raise Refused(403, _("your organisation's proxy does not say who you are: tell your administrator"))
    return enter(desk, request, Proof(address, PROXY), place_after(request))


def sign_out(desk: Desk, request: Request) -> Response:
    """End the session."""
    visitor, _form = checked_form(desk, request)
    desk.signins.end(visitor.token)
    desk.codes.take(visitor.token)
    answer = to(_signed_out(desk, visitor.session.proof))
    answer.delete_cookie(cookie_name(desk), secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    return answer


def _signed_out(desk: Desk, proof: Proof) -> str:
    """Return where signing out leads: to the issuer that let somebody in, else it lets in whoever is next."""
    elsewhere = desk.oidc.end_address(proof.id_token) if desk.oidc and proof.method == OIDC else None
    return elsewhere or "/signin"


ROUTES = (
    PageRoute("/signin", "GET", sign_in, ANYBODY, "shows the ways to sign in"),
    PageRoute("/signin/again", "GET", sign_in_again, SIGNED_IN, "shows them before what changes how people sign in"),
    PageRoute("/signin/start/{token}", "GET", signin_link, ANYBODY, "shows whose one-time link it is"),
    PageRoute("/signin/start/{token}", "POST", use_signin_link, ANYBODY, "signs in by it, once"),
    PageRoute("/signin/proxy", "POST", sign_in_by_proxy, ANYBODY, "signs in as whom a trusted proxy names"),
    PageRoute("/signout", "POST", sign_out, SIGNED_IN, "ends the session"),
)
