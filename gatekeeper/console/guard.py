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

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.ledger.service import LedgerService
from gatekeeper.ledger.signins import START_PATH

log = logging.getLogger("gatekeeper.console")

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
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_SAFE = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"same-origin", "none"})


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

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for header, value in _HEADERS.items():
                    headers.setdefault(header, value)
                if self._desk.is_secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                headers["x-request-id"] = name
                headers["server-timing"] = f"app;dur={(time.perf_counter() - began) * 1000:.1f}"
                log.info("%s %s %s %s", name, request.method, _logged(request.url.path), message["status"])
            await send(message)

        scope["state"] = {**scope.get("state", {}), "id": name}
        await (self._refusal(request) or self._app)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") != self._desk.host:
            return PlainTextResponse(f"expected the host {self._desk.host}\n", 421)
        if request.method in _SAFE:
            return None
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        # Where no page may be named to other sites, browsers send the origin "null", to this one as well.
        if site not in _OWN_SITES if site is not None else origin not in (None, self._desk.origin):
            return PlainTextResponse("another site asked for this: open the page here and try again\n", 403)
        return None


def _logged(path: str) -> str:
    """Return a path for the log: without the token of a link, which would sign somebody in."""
    return f"{START_PATH}*" if path.startswith(START_PATH) else path


def ledger_for(desk: Desk, request: Request) -> LedgerService:
    """Return the ledger under the rules in force, the same throughout a request. Raises Unavailable."""
    if not hasattr(request.state, "ledger"):
        request.state.ledger = desk.service()
    ledger: LedgerService = request.state.ledger
    return ledger


def visitor_for(desk: Desk, request: Request) -> Visitor | None:
    """Return who is signed in, found once a request; None where nobody is. Raises Unavailable."""
    if not hasattr(request.state, "visitor"):
        token = request.cookies.get(cookie_name(desk))
        session = desk.signins.session(token) if token else None
        request.state.visitor = Visitor(session.address, token) if session and token else None
    visitor: Visitor | None = request.state.visitor
    return visitor


def cookie_name(desk: Desk) -> str:
    """Return the name of the session's cookie; by TLS one that only this host can set."""
    return "__Host-gatekeeper" if desk.is_secure else "gatekeeper"


def is_own_form(visitor: Visitor, given: object) -> bool:
    """Return True where a form was made for this visitor."""
    return isinstance(given, str) and hmac.compare_digest(given, visitor.csrf)
