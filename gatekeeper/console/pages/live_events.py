"""Serve the stream by which an open page hears what has changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.live import Watch
from gatekeeper.console.pages.common import SIGNED_IN, PageRoute, Refused, visitor_of
from gatekeeper.console.words import _

_STREAM = "text/event-stream"


def events(desk: Desk, request: Request) -> Response:
    """Return the stream of a person; from the event on that their browser heard last."""
    visitor, ledger = visitor_of(desk, request), ledger_for(desk, request)
    if request.method == "HEAD":
        return Response(media_type=_STREAM)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else ledger.newest_event()
    if not desk.streams.begin(visitor.address):
        raise Refused(429, _("more pages are open than are told what changes: close some"), {"retry-after": "60"})
    watch = Watch(
        desk.streams,
        ask=ledger.newest_event,
        look=lambda after: desk.service().changes(after, visitor.address),
        is_alive=lambda: desk.signins.is_alive(visitor.token),
        after=after,
    )
    return _Stream(watch, partial(desk.streams.end, visitor.address))


class _Stream(StreamingResponse):
    """A stream that says when it has ended, however that came about."""

    def __init__(self, watch: Watch, ended: Callable[[], None]) -> None:
        super().__init__(watch.stream(), media_type=_STREAM)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


ROUTES = (PageRoute("/events", "GET", events, SIGNED_IN, "tells an open page what changes"),)
