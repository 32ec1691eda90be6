"""The console's application: the way from a request to its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import Guard, visitor_for
from gatekeeper.console.pages.common import ANYBODY, Page, PageRoute, Refused, SignInAgain, refusal_of, to
from gatekeeper.console.pages.entering import own_place, with_place
from gatekeeper.console.rendering import page
from gatekeeper.console.routes import ROUTES
from gatekeeper.console.words import _, speak
from gatekeeper.ledger.context import Unavailable

log = logging.getLogger("gatekeeper.console")
_MOST_FORM = 65_536  # octets of a form


def make_app(desk: Desk) -> Starlette:
    """Return the application for a desk."""
    routes = [Route(each.path, _endpoint(desk, each), methods=[each.method]) for each in ROUTES]

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = _("no such page") if error.status_code == 404 else _("this page is not made for that")
        return await run_in_threadpool(_answer, desk, request, _refuse(Refused(error.status_code, text)))

    guard = Middleware(Guard, desk=desk)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: missing})


def _endpoint(desk: Desk, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        make = route.page if route.who is ANYBODY else _for_visitors(route.page)
        try:
            request.state.form = await _form(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except Refused as refused:
            make = _refuse(refused)
        return await run_in_threadpool(_answer, desk, request, make)

    return endpoint


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of one that is named twice the last. Raises Refused where it is too large."""
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > _MOST_FORM:
            raise Refused(413, _("this form is too large: at most %(n)s octets are read") % {"n": f"{_MOST_FORM:,}"})
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl(octets.decode("ascii", "replace"), keep_blank_values=True))


def _for_visitors(make: Page) -> Page:
    """Return a page that leads whoever is not signed in to where they can."""

    def made(desk: Desk, request: Request) -> Response:
        return make(desk, request) if visitor_for(desk, request) else to(with_place("/signin", _asked_for(request)))

    return made


def _asked_for(request: Request) -> str:
    """Return the page that somebody wanted to see, with its query; "" where they sent a form."""
    query = f"?{request.url.query}" if request.url.query else ""
    shown = request.method in ("GET", "HEAD") and request.url.path != "/"
    return own_place(f"{request.url.path}{query}") if shown else ""


def _refuse(refused: Refused) -> Page:
    def made(desk: Desk, request: Request) -> Response:
        raise refused

    return made


def _answer(desk: Desk, request: Request, make: Page) -> Response:
    """Return what a page makes, or the page that says why there is none."""
    speak(request.headers.get("accept-language", ""))
    try:
        return _page(desk, request, make)
    except Unavailable as error:
        log.warning("%s cannot answer: %s", request.state.id, error)
        text = _("the console cannot answer now: try again. Number of this request: %(id)s") % {"id": request.state.id}
        return Response(f"{text}\n", 503, {"retry-after": "10"}, "text/plain")


def _page(desk: Desk, request: Request, make: Page) -> Response:
    try:
        return make(desk, request)
    except Unavailable:
        raise
    except SignInAgain as error:
        return to(with_place("/signin/again", error.place))
    except Exception as error:
        refusal, headers = refusal_of(error), error.headers if isinstance(error, Refused) else {}
        if refusal is None:
            log.exception("%s a fault of the console", request.state.id)
            refusal = 500, _("a fault of the console: tell your administrator, with the number below")
    status, text = refusal
    answer = page(desk, request, "error.html", status, text=text, missing=status == 404)
    answer.headers.update(headers)
    return answer
