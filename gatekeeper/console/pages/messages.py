"""Show the message of a mailing to somebody who may read it, which its timeline notes first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console import frame
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import FRAME_POLICY, ledger_for
from gatekeeper.console.pages.common import CONTENT, PageRoute, visitor_of
from gatekeeper.console.words import _
from gatekeeper.ledger.looking import BatchView
from gatekeeper.ledger.service import NotFound
from gatekeeper.ledger.sight import Sight

_MOST_SOURCE = 512 * 1024  # octets of a message that its source shows


def message(desk: Desk, request: Request) -> Response:
    """Return a message for the frame of its page: as it is shown, its text, or its source."""
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    seen = ledger_for(desk, request).look(number, visitor.address)
    batch = next((each for each in seen.case.batches if each.id == request.path_params["batch"]), None)
    if batch is None or seen.sight is not Sight.CONTENT:
        raise NotFound(_("no such message, or it is not for you"))
    note_reading(desk, request, number, batch)
    content = ledger_for(desk, request).message(batch)
    headers = {"content-security-policy": FRAME_POLICY}
    view = request.query_params.get("view", "rendered")
    if view == "source":
        return Response(content[:_MOST_SOURCE], headers=headers, media_type="text/plain; charset=utf-8")
    return Response(frame.rendered(content), headers=headers, media_type="text/html; charset=utf-8")


def note_reading(desk: Desk, request: Request, number: int, batch: BatchView) -> None:
    """Have the timeline note that somebody reads a message, once a session, before it is shown (S4, D4)."""
    visitor = visitor_of(desk, request)
    key = (visitor.token, batch.id)
    if desk.read.get(key) is None:
        ledger_for(desk, request).read(number, visitor.address, batch.id)
        desk.read.note(key)


ROUTES = (PageRoute("/mailings/M-{number:int}/messages/{batch:int}", "GET", message, CONTENT, "a message, in a frame"),)
