"""Sign in at an OpenID Connect issuer, and out when it says so."""

from __future__ import annotations

from logging import WARNING
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import visitor_for
from gatekeeper.console.identities import CALLBACK, Identity, IssuerError, NotVerified
from gatekeeper.console.pages.common import ANYBODY, PageRoute, Refused, to
from gatekeeper.console.pages.entering import enter, place_after, recall, remember, require_method
from gatekeeper.console.words import _
from gatekeeper.ledger.context import NotAllowed
from gatekeeper.ledger.signins import OIDC, Proof
from gatekeeper.ops.log import Address, event

if TYPE_CHECKING:
    from gatekeeper.console.oidc import Issuer


def begin(desk: Desk, request: Request) -> Response:
    """Send the browser to the issuer; who is signed in already is to show there once more who they are."""
    issuer = _issuer(desk)
    try:
        place, details = issuer.begin(again=visitor_for(desk, request) is not None)
    except IssuerError as error:
        _note(request, error)
        raise Refused(503, _("the issuer does not answer: try again in a minute"), {"retry-after": "60"}) from None
    answer = to(place)
    remember(desk, answer, OIDC, {**details, "next": place_after(request)})
    return answer


def _issuer(desk: Desk) -> Issuer:
    require_method(desk, OIDC)
    assert desk.oidc is not None  # where the method is on
    return desk.oidc


def _note(request: Request, error: Exception, **more: object) -> None:
    event("openid connect", {"error": str(error), **more, "id": request.state.id}, WARNING)


def callback(desk: Desk, request: Request) -> Response:
    """Sign in as whom the issuer has let in, where the browser is the one that was sent there."""
    issuer, step = _issuer(desk), recall(desk, request, OIDC)
    if step is None:
        raise Refused(403, _("this took too long, or was begun in another browser: begin again"))
    try:
        identity = issuer.finish(step, dict(request.query_params))
    except NotVerified as error:
        _note(request, error)
        raise Refused(403, _("the issuer does not vouch for your address: tell your administrator")) from None
    except IssuerError as error:
        _note(request, error)
        raise Refused(403, _("the issuer did not let you in, or its answer is not good: begin again")) from None
    _pin(desk, request, identity)
    names = (identity.issuer, identity.subject, identity.sid, identity.id_token, identity.shown_at)
    return enter(desk, request, Proof(identity.address, OIDC, *names), step["next"])


def _pin(desk: Desk, request: Request, identity: Identity) -> None:
    """Pin the address to its first owner. Raises NotAllowed for anybody else who claims it."""
    try:
        desk.signins.pin(identity.address, identity.issuer, identity.subject)
    except NotAllowed as error:
        _note(request, error, who=Address(identity.address), sub=identity.subject)
        raise


def sign_out(desk: Desk, request: Request) -> Response:
    """End the sessions that the issuer names, by a token that it has signed (Back-Channel Logout 1.0)."""
    issuer = _issuer(desk)
    try:
        ended = desk.signins.end_of_issuer(*issuer.read_logout(request.state.form.get("logout_token", "")))
    except IssuerError as error:
        _note(request, error)
        return PlainTextResponse(f"{error}\n", 400)
    event("signed out", {"sessions": ended, "id": request.state.id})
    return PlainTextResponse("")


ROUTES = (
    PageRoute("/signin/oidc", "POST", begin, ANYBODY, "leads to the issuer"),
    PageRoute(CALLBACK, "GET", callback, ANYBODY, "signs in as whom the issuer has let in"),
    PageRoute("/signin/oidc/logout", "POST", sign_out, ANYBODY, "ends sessions that the issuer names"),
)
