"""What all ways of signing in share: how often one may try, the steps of a sign-in, the session, where it leads."""

from __future__ import annotations

from collections.abc import Mapping
from logging import WARNING
from typing import NoReturn
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import client_of, cookie_name, is_shared, ledger_for, step_cookie, visitor_for
from gatekeeper.console.pages.common import Refused, to
from gatekeeper.console.rates import network_of
from gatekeeper.console.words import _, plural
from gatekeeper.ledger.signins import STEP_SECONDS, Proof, login_of, may_sign_in
from gatekeeper.ops.log import Address, event

_LONGEST_PLACE = 500  # characters
_NOT_AFTER = ("/signin", "/signout", "/static")  # nobody wants to be there once signed in


def place_after(request: Request) -> str:
    """Return the page that somebody came for, by `next` of form or address; "" for what is no page of ours."""
    return own_place(request.state.form.get("next") or request.query_params.get("next") or "")


def own_place(wanted: str) -> str:
    """Return a path of ours as it is; "" for anything else: an address elsewhere, a page that signs in."""
    is_path = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    if not is_path or not wanted.isprintable() or len(wanted) > _LONGEST_PLACE:
        return ""
    return "" if wanted.startswith(_NOT_AFTER) else wanted


def with_place(path: str, place: str) -> str:
    """Return the address of a page that leads on to another."""
    return f"{path}?next={quote(place)}" if place else path


def count_try(desk: Desk, request: Request, address: str = "") -> None:
    """Count that somebody tries to sign in. Raises Refused where they try too often, from there or for that address."""
    tries, client = desk.tries, client_of(request)
    networks = tries.shared if is_shared(desk, request) else tries.networks
    wait = networks.take(network_of(client))
    if address:
        wait = max(wait, tries.accounts.take(address))
    if wait:
        event("tries exceeded", {**_who(address, client), "id": request.state.id}, WARNING)
        too_often(wait)


def too_often(wait: float) -> NoReturn:
    """Raise Refused for somebody who tries too often, and say when they may again."""
    seconds, minutes = int(wait) + 1, int(wait) // 60 + 1
    words = {"time": plural("%(n)s minute", "%(n)s minutes", minutes)}
    raise Refused(429, _("too many tries: wait %(time)s, then try again") % words, {"retry-after": str(seconds)})


def _who(address: str, client: str, **more: str) -> dict[str, object]:
    return {"who": Address(address), "client": client or "unix", **more}


def enter(desk: Desk, request: Request, proof: Proof, place: str) -> Response:
    """Begin a session with a new token, in the place of the one that the browser has; lead to the page wanted.

    Raises Refused for who is nobody here, NotAllowed for who is disabled.
    """
    if not may_sign_in(ledger_for(desk, request).ruleset, proof.address):
        event("not ours", {**_who(proof.address, client_of(request)), "id": request.state.id}, WARNING)
        raise Refused(403, not_ours(proof.address))
    token = desk.signins.begin(proof, client_of(request), request.headers.get("user-agent", ""))
    visitor = visitor_for(desk, request)
    if visitor is not None:
        desk.signins.end(visitor.token)
    desk.tries.accounts.forget(proof.address)
    who = _who(proof.address, client_of(request), by=login_of(proof))
    event("signed in", {**who, "id": request.state.id})
    answer = to(place or "/")
    answer.set_cookie(cookie_name(desk), token, secure=desk.is_secure, httponly=True, samesite="lax", path="/")
    forget_step(desk, answer)
    request.state.token = token
    return answer


def not_ours(address: str) -> str:
    """Return what is said of an address that may not sign in."""
    return _("%(who)s is no address of this organisation, and nobody that the rules name") % {"who": address}


def remember(desk: Desk, answer: Response, kind: str, details: Mapping[str, str]) -> None:
    """Remember what the next step of a sign-in needs, for this browser alone."""
    set_step(desk, answer, desk.signins.remember(kind, details))


def set_step(desk: Desk, answer: Response, token: str) -> None:
    """Give the browser what it is known by until it has signed in."""
    answer.set_cookie(
        step_cookie(desk),
        token,
        max_age=int(STEP_SECONDS),
        secure=desk.is_secure,
        httponly=True,
        samesite="lax",
        path="/",
    )


def recall(desk: Desk, request: Request, kind: str) -> Mapping[str, str] | None:
    """Return what was remembered of this browser's last step; it is forgotten then."""
    token = request.cookies.get(step_cookie(desk))
    return desk.signins.recall(kind, token) if token else None


def forget_step(desk: Desk, answer: Response) -> None:
    """Take back what the browser was known by."""
    answer.delete_cookie(step_cookie(desk), secure=desk.is_secure, httponly=True, samesite="lax", path="/")


def require_method(desk: Desk, method: str) -> None:
    """Raise Refused where people do not sign in so here."""
    if method not in desk.signing_in.signin:
        raise Refused(404, _("nobody signs in this way here: choose another"))
