"""The console's application: every route with who may open it, and the way from a request to its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gatekeeper.console import pages
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import Guard, visitor_for
from gatekeeper.console.rendering import page
from gatekeeper.ledger.context import Unavailable

log = logging.getLogger("gatekeeper.console")
_MOST_FORM = 65_536  # octets of a form
ANYBODY, SIGNED_IN, SIGHT, CONTENT, DECIDER, OWNER = (
    "anybody",
    "signed in",
    "who may see it",
    "who may read it",
    "who may decide it",
    "whose it is",
)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One route: path, method, its page, who may open it, and what it is for."""

    path: str
    method: str
    page: pages.Page
    who: str
    about: str


ROUTES: tuple[PageRoute, ...] = (
    PageRoute("/", "GET", pages.home, SIGNED_IN, "leads to the page that a person comes for"),
    PageRoute("/signin", "GET", pages.sign_in, ANYBODY, "says how to sign in"),
    PageRoute("/signin/start/{token}", "GET", pages.signin_link, ANYBODY, "shows whose one-time link it is"),
    PageRoute("/signin/start/{token}", "POST", pages.use_signin_link, ANYBODY, "signs in by it, once"),
    PageRoute("/signout", "POST", pages.sign_out, SIGNED_IN, "ends the session"),
    PageRoute("/account", "GET", pages.account, SIGNED_IN, "where somebody is signed in"),
    PageRoute("/account/sessions/{key}/end", "POST", pages.end_session, SIGNED_IN, "ends one of these sessions"),
    PageRoute("/waiting", "GET", pages.waiting, SIGNED_IN, "what waits, first for this person"),
    PageRoute("/mailings", "GET", pages.mailings, SIGNED_IN, "the newest mailings that a person may see"),
    PageRoute("/mailings/M-{number:int}", "GET", pages.review, SIGHT, "one mailing, with all that decides it"),
    PageRoute("/mailings/M-{number:int}/decision", "POST", pages.decide, DECIDER, "approves, denies, sends back"),
    PageRoute("/mailings/M-{number:int}/withdraw", "POST", pages.withdraw, OWNER, "takes one's own back"),
    PageRoute("/mailings/M-{number:int}/messages/{batch:int}", "GET", pages.message, CONTENT, "a message, in a frame"),
    PageRoute("/accessibility", "GET", pages.accessibility, ANYBODY, "the statement on accessibility"),
    PageRoute("/livez", "GET", pages.alive, ANYBODY, "whether the process is there"),
    PageRoute("/static/{digest}/{name}", "GET", pages.static, ANYBODY, "style of the pages"),
)


def make_app(desk: Desk) -> Starlette:
    """Return the application for a desk."""
    routes = [Route(each.path, _endpoint(desk, each), methods=[each.method]) for each in ROUTES]

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = "no such page" if error.status_code == 404 else "this page is not made for that"
        return await run_in_threadpool(_answer, desk, request, _refuse(pages.Refused(error.status_code, text)))

    guard = Middleware(Guard, desk=desk)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: missing})


def _endpoint(desk: Desk, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        make = route.page if route.who is ANYBODY else _for_visitors(route.page)
        try:
            request.state.form = await _form(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except pages.Refused as refused:
            make = _refuse(refused)
        return await run_in_threadpool(_answer, desk, request, make)

    return endpoint


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of one that is named twice the last. Raises Refused where it is too large."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > _MOST_FORM:
            raise pages.Refused(413, f"this form is too large: at most {_MOST_FORM:,} octets are read; write less")
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl(octets.decode("ascii", "replace"), keep_blank_values=True))


def _for_visitors(make: pages.Page) -> pages.Page:
    """Return a page that leads whoever is not signed in to where they can."""

    def made(desk: Desk, request: Request) -> Response:
        return make(desk, request) if visitor_for(desk, request) else RedirectResponse("/signin", 303)

    return made


def _refuse(refused: pages.Refused) -> pages.Page:
    def made(desk: Desk, request: Request) -> Response:
        raise refused

    return made


def _answer(desk: Desk, request: Request, make: pages.Page) -> Response:
    """Return what a page makes, or the page that says why there is none."""
    try:
        return _page(desk, request, make)
    except Unavailable as error:
        log.warning("%s cannot answer: %s", request.state.id, error)
        text = f"the console cannot answer now: try again. Number of this request: {request.state.id}\n"
        return Response(text, 503, {"retry-after": "10"}, "text/plain")


def _page(desk: Desk, request: Request, make: pages.Page) -> Response:
    try:
        return make(desk, request)
    except Unavailable:
        raise
    except Exception as error:
        refusal = pages.refusal_of(error)
        if refusal is None:
            log.exception("%s a fault of the console", request.state.id)
            refusal = 500, "a fault of the console: tell your administrator, with the number below"
    status, text = refusal
    return page(desk, request, "error.html", status, text=text, missing=status == 404)
