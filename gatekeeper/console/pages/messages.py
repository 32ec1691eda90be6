"""Show the message of a mailing to somebody who may read it, which its timeline notes first."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console import frame
from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import FRAME_POLICY, ledger_for
from gatekeeper.console.pages.common import CONTENT, PageRoute, case_for, count_content, visitor_of
from gatekeeper.console.words import _
from gatekeeper.ledger.looking import BatchView
from gatekeeper.ledger.service import FilePlace, NotFound
from gatekeeper.message.file_names import saved_name

_MOST_SOURCE = 512 * 1024  # octets of a message that its source shows


def message(desk: Desk, request: Request) -> Response:
    """Return a message for the frame of its page: as it is shown, its text, or its source."""
    batch = _batch(desk, request)
    note_reading(desk, request, request.path_params["number"], batch)
    content = ledger_for(desk, request).message(batch)
    headers = {"content-security-policy": FRAME_POLICY}
    view = request.query_params.get("view", "rendered")
    if view == "source":
        return Response(content[:_MOST_SOURCE], headers=headers, media_type="text/plain; charset=utf-8")
    return Response(frame.rendered(content), headers=headers, media_type="text/html; charset=utf-8")


def part(desk: Desk, request: Request) -> Response:
    """Return a file of a message to be saved, never to be shown; the timeline notes each time."""
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    batch, place = _batch(desk, request), request.path_params["part"]
    ledger = ledger_for(desk, request)
    octets = ledger.take_file(number, visitor.address, FilePlace(batch.id, place), case_for(desk, visitor, number))
    name = saved_name(ledger.contents(batch).files[place - 1].name, f"M-{number}-{batch.id}-{place}")
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    headers = {
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "content-security-policy": FRAME_POLICY,
    }
    return Response(octets, headers=headers, media_type="application/octet-stream")


def _batch(desk: Desk, request: Request) -> BatchView:
    """Return the batch of an address, for somebody who may read it. Raises NotFound."""
    count_content(desk, request)
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    ledger, id, case = ledger_for(desk, request), request.path_params["batch"], case_for(desk, visitor, number)
    seen = ledger.look(number, visitor.address)
    shown = seen.case.batches if seen.needs_case and case else seen.readable
    batch = next((each for each in shown if each.id == id), None)
    if batch is None:
        raise NotFound(_("no such message, or it is not for you"))
    return batch


def note_reading(desk: Desk, request: Request, number: int, batch: BatchView) -> None:
    """Have the timeline note that somebody reads a message, once a session, before it is shown (S4, D4)."""
    visitor = visitor_of(desk, request)
    key = (visitor.token, batch.id)
    if desk.read.get(key) is None:
        ledger_for(desk, request).read(number, visitor.address, batch.id, case_for(desk, visitor, number))
        desk.read.note(key)


ROUTES = (
    PageRoute("/mailings/M-{number:int}/messages/{batch:int}", "GET", message, CONTENT, "a message, in a frame"),
    PageRoute("/mailings/M-{number:int}/messages/{batch:int}/parts/{part:int}", "GET", part, CONTENT, "a file of it"),
)
