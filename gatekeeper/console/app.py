"""The console's application: the way from a request to its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gatekeeper.console.desk import Desk
from gatekeeper.console.forms import Form, TooLarge, limited, read_form
from gatekeeper.console.guard import Guard, visitor_for
from gatekeeper.console.pages.common import (
    ANYBODY,
    MOST_NUMBER,
    Page,
    PageRoute,
    Refused,
    SignInAgain,
    refusal_of,
    to,
)
from gatekeeper.console.pages.entering import own_place, with_place
from gatekeeper.console.rendering import page
from gatekeeper.console.routes import ROUTES
from gatekeeper.console.words import _, speak
from gatekeeper.ledger.context import Unavailable
from gatekeeper.ops.log import event


def make_app(desk: Desk) -> Starlette:
    """Return the application for a desk."""
    routes = [Route(each.path, _endpoint(desk, each), methods=[each.method]) for each in ROUTES]

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        speak(request.headers.get("accept-language", ""))
        text = _("no such page") if error.status_code == 404 else _("this page is not made for that")
        return await run_in_threadpool(_answer, desk, request, _refuse(Refused(error.status_code, text)))

    guard = Middleware(Guard, desk=desk)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: missing})


def _endpoint(desk: Desk, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        make = route.page if route.who is ANYBODY else _for_visitors(route.page)
        try:
            request.state.form = await _form(desk, request, route)
        except ClientDisconnect:
            return Response(status_code=400)
        except TooLarge as error:
            make = _refuse(Refused(413, str(error)))
        except MemoryError as error:
            make = _refuse(error)
        return await run_in_threadpool(_answer, desk, request, make)

    return endpoint


async def _form(desk: Desk, request: Request, route: PageRoute) -> Form:
    """Return what somebody sends. Of strangers no files are kept, not even for the moment until they may sign in."""
    if not route.uploads:
        return await read_form(request, 0)
    if await run_in_threadpool(_is_visitor, desk, request):
        return await read_form(request, desk.most_upload)
    async for _octets in limited(request, desk.most_upload):
        pass
    return Form()


def _is_visitor(desk: Desk, request: Request) -> bool:
    try:
        return visitor_for(desk, request) is not None
    except Unavailable:
        return False  # its page will say so


def _for_visitors(make: Page) -> Page:
    """Return a page that leads whoever is not signed in to where they can, and is not there for too large a number."""

    def made(desk: Desk, request: Request) -> Response:
        if visitor_for(desk, request) is None:
            return to(with_place("/signin", _asked_for(request)))
        if any(isinstance(each, int) and each > MOST_NUMBER for each in request.path_params.values()):
            raise Refused(404, _("no such page"))
        return make(desk, request)

    return made


def _asked_for(request: Request) -> str:
    """Return the page that somebody wanted to see, with its query; "" where they sent a form."""
    query = f"?{request.url.query}" if request.url.query else ""
    shown = request.method in ("GET", "HEAD") and request.url.path != "/"
    return own_place(f"{request.url.path}{query}") if shown else ""


def _refuse(error: Exception) -> Page:
    def made(desk: Desk, request: Request) -> Response:
        raise error

    return made


def _answer(desk: Desk, request: Request, make: Page) -> Response:
    """Return what a page makes, or the page that says why there is none."""
    speak(request.headers.get("accept-language", ""))
    try:
        return _page(desk, request, make)
    except Unavailable as error:
        event("cannot answer", {"error": str(error), "id": request.state.id}, logging.WARNING)
        text = _("the console cannot answer now: try again. Number of this request: %(id)s") % {"id": request.state.id}
        return Response(f"{text}\n", 503, {"retry-after": "10"}, "text/plain")


def _page(desk: Desk, request: Request, make: Page) -> Response:
    try:
        return make(desk, request)
    except Unavailable:
        raise
    except MemoryError:
        raise Unavailable("no memory is left: see --console-memory") from None
    except SignInAgain as error:
        return to(with_place("/signin/again", error.place))
    except Exception as error:
        refusal, headers = refusal_of(error), error.headers if isinstance(error, Refused) else {}
        if refusal is None:
            event("a fault of the console", {"id": request.state.id}, logging.ERROR, error)
            refusal = 500, _("a fault of the console: tell your administrator, with the number below")
    status, text = refusal
    answer = page(desk, request, "error.html", status, text=text, missing=status == 404)
    answer.headers.update(headers)
    return answer
