"""The console's application: every route with who may open it, and the way from a request to its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gatekeeper.console import pages
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import Guard
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
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = "no such page" if status == 404 else "this page is not made for that"
        return await run_in_threadpool(_error, desk, request, status, text)

    guard = Middleware(Guard, desk=desk)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: missing})


def _endpoint(desk: Desk, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            request.state.form = await _form(request)
        return await run_in_threadpool(_answer, desk, route, request)

    return endpoint


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; none of one that is too large."""
    octets = b""
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > _MOST_FORM:
            return {}
    request._body = octets
    form = await request.form(max_files=0)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _answer(desk: Desk, route: PageRoute, request: Request) -> Response:
    if route.who is not ANYBODY and request.state.visitor is None:
        return RedirectResponse("/signin", 303)
    try:
        return route.page(desk, request)
    except Unavailable:
        log.warning("%s the database does not answer", request.state.id)
        return Response("the database does not answer: try again\n", 503, {"retry-after": "10"}, "text/plain")
    except Exception as error:
        if refusal := pages.refusal_of(error):
            return _error(desk, request, *refusal)
        log.exception("%s a fault of the console", request.state.id)
        return _error(desk, request, 500, "a fault of the console: tell your administrator, with the number below")


def _error(desk: Desk, request: Request, status: int, text: str) -> Response:
    return page(desk, request, "error.html", status, text=text, missing=status == 404)
