"""What holds for every request: who asks, where it comes from, which headers its answer has.

A request for another host, or a change that another site asks for, goes no further. Each answer has an id, which the
log has too, and how long it took.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatekeeper.address import is_valid, normalise
from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import OIDC, PATHS, PROXY, login_of, may_sign_in
from gatekeeper.ops.log import event
from gatekeeper.ops.tracing import SpanTaken, parent_of_request
from gatekeeper.settings import LOOPBACK, contains, read_networks

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_LOOPBACK = read_networks(LOOPBACK)
APPEARANCE, THEMES = "gatekeeper-appearance", ("auto", "light", "dark")  # a cookie, and its values
_SAFE = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"same-origin", "none"})
_OTHER_SITE = "another site asked for this: open the page here and try again\n"
_NOT_BY_TLS = (
    "Nothing was done: at an address that begins with http: browsers do not say which site a form comes from, and so "
    "no form is taken. The console has to have an address that begins with https:. Tell your administrator.\n"
)


def policy_of(desk: Desk) -> str:
    """Return the policy of pages: forms lead to ourselves, and by a redirect of ours to the issuer."""
    issuer = desk.oidc.origins if desk.oidc else ()
    return POLICY.replace("form-action 'self'", " ".join(("form-action 'self'", *issuer)))


class Guard:
    """ASGI middleware around all pages."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, name = time.perf_counter(), secrets.token_hex(8)
        request = Request(scope, receive)
        told: dict[str, str | int] = {}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", policy_of(self._desk))
                for header, value in _HEADERS.items():
                    headers.setdefault(header, value)
                if self._desk.is_secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                headers["x-request-id"] = name
                headers["server-timing"] = f"app;dur={(time.perf_counter() - began) * 1000:.1f}"
                told.update(_line_of(request, message["status"], name))
                event("request", told)
            await send(message)

        scope["state"] = {**scope.get("state", {}), "id": name}
        try:
            await (self._refusal(request) or self._app)(scope, receive, with_headers)
        finally:
            if self._desk.tracing and told:
                self._desk.tracing.export(_span_of(request, told, time.perf_counter() - began))

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") != self._desk.host:
            return PlainTextResponse(f"expected the host {self._desk.host}\n", 421)
        if is_forged(self._desk, request):
            said = "refused: a client says in a header who somebody is, and is no trusted proxy, or says it twice"
            event(said, {"client": client_of(request), "id": request.state.id}, logging.WARNING)
            return PlainTextResponse("this request says who you are, and did not come by the proxy that may\n", 400)
        if request.method in _SAFE:
            return None
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        # Since no page may be named to other sites, browsers send the origin "null", to this one as well; what else
        # they say of a form, Sec-Fetch-Site, they say by TLS and on loopback alone.
        if site not in _OWN_SITES if site is not None else origin not in (None, self._desk.origin):
            says_nothing = site is None and origin == "null" and not self._desk.takes_forms
            return PlainTextResponse(_NOT_BY_TLS if says_nothing else _OTHER_SITE, 403)
        return None


def _line_of(request: Request, status: int, name: str) -> dict[str, str | int]:
    return {"method": request.method, "path": _logged(request.url.path), "status": status, "id": name}


def _span_of(request: Request, told: Mapping[str, str | int], seconds: float) -> SpanTaken:
    attributes = {
        "http.request.method": told["method"],
        "url.path": told["path"],
        "http.response.status_code": told["status"],
        "gatekeeper.id": told["id"],
    }
    failure = "server error" if int(told["status"]) >= 500 else ""
    return SpanTaken(f"{told['method']} console", seconds, attributes, parent_of_request(request.headers), failure)


def _logged(path: str) -> str:
    """Return a path for the log: without the token of a link, which would sign somebody in."""
    folder = next((each for each in PATHS.values() if path.startswith(each)), "")
    return f"{folder}*" if folder else path


def ledger_for(desk: Desk, request: Request) -> LedgerService:
    """Return the ledger under the rules in force, the same throughout a request. Raises Unavailable."""
    if not hasattr(request.state, "ledger"):
        visitor = visitor_for(desk, request)
        rules = _in_force(desk, request)
        request.state.ledger = replace(rules, login=login_of(visitor.session.proof)) if visitor else rules
    ledger: LedgerService = request.state.ledger
    return ledger


def _in_force(desk: Desk, request: Request) -> LedgerService:
    if not hasattr(request.state, "in_force"):
        request.state.in_force = desk.service()
    found: LedgerService = request.state.in_force
    return found


def visitor_for(desk: Desk, request: Request) -> Visitor | None:
    """Return who is signed in, found once a request; None where nobody is. Raises Unavailable."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = _visitor(desk, request)
    visitor: Visitor | None = request.state.visitor
    return visitor


def _visitor(desk: Desk, request: Request) -> Visitor | None:
    token = request.cookies.get(cookie_name(desk))
    session = desk.signins.session(token) if token else None
    if session is None or token is None or not may_sign_in(_in_force(desk, request).ruleset, session.address):
        return None
    if session.proof.method == PROXY and named_by_proxy(desk, request) != session.address:
        desk.signins.end(token)  # the proxy has let somebody else in, or nobody
        return None
    if desk.oidc and session.proof.method == OIDC:
        desk.oidc.learn()  # where signing out leads
    return Visitor(session.address, token, session)


# -- what a proxy says -------------------------------------------------------------------------------------------


def is_forged(desk: Desk, request: Request) -> bool:
    """Return True where somebody other than a trusted proxy says who the visitor is, or where it is said twice."""
    name = desk.signing_in.proxy_header
    given = request.headers.getlist(name) if name else []
    return len(given) > 1 or (bool(given) and not _is_trusted(desk, request))


def _is_trusted(desk: Desk, request: Request) -> bool:
    """Return True for the peer of a unix socket, or of --proxy-networks; what a header says of it does not count."""
    return request.client is None or contains(desk.signing_in.proxy_networks, request.client.host)


def named_by_proxy(desk: Desk, request: Request) -> str | None:
    """Return the address that a trusted proxy names; None where it names none. `is_forged` was asked before."""
    name = desk.signing_in.proxy_header
    given = request.headers.get(name, "").strip() if name else ""
    return normalise(given) if given and is_valid(given) else None


def client_of(request: Request) -> str:
    """Return the address that a request comes from; "" by a unix socket."""
    return request.client.host if request.client else ""


def is_shared(desk: Desk, request: Request) -> bool:
    """Return True where many people come from one address: that of a proxy before the console."""
    return _is_trusted(desk, request) or contains(_LOOPBACK, client_of(request))


def step_cookie(desk: Desk) -> str:
    """Return the name of the cookie of a sign-in that has begun."""
    return "__Host-gatekeeper-step" if desk.is_secure else "gatekeeper-step"


def cookie_name(desk: Desk) -> str:
    """Return the name of the session's cookie; by TLS one that only this host can set."""
    return "__Host-gatekeeper" if desk.is_secure else "gatekeeper"


def appearance_for(request: Request) -> tuple[str, bool]:
    """Return light, dark or auto, and whether keys are shortcuts, as somebody has chosen in this browser."""
    theme, _, keys = request.cookies.get(APPEARANCE, "").partition(".")
    return theme if theme in THEMES else "auto", keys != "off"


def is_own_form(visitor: Visitor, given: object) -> bool:
    """Return True where a form was made for this visitor."""
    return isinstance(given, str) and hmac.compare_digest(given, visitor.csrf)
