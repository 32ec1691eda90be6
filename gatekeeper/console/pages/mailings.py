"""Show mailings: what waits, all that somebody may see, one with all that decides it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    SIGHT,
    SIGNED_IN,
    Given,
    PageRoute,
    Refused,
    agency_names,
    visitor_of,
)
from gatekeeper.console.pages.messages import note_reading
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.looking import BatchView
from gatekeeper.ledger.service import Sought, VisibleCase
from gatekeeper.ledger.sight import Sight
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lifecycle import MailingState

_VIEWS = ("rendered", "text", "source")


def waiting(desk: Desk, request: Request) -> Response:
    """Show what waits, first for this person."""
    visitor = visitor_of(desk, request)
    return page(
        desk,
        request,
        "waiting.html",
        rows=ledger_for(desk, request).waiting(visitor.address, Sought(kind="mailing")).rows,
        names=agency_names(desk, request),
    )


def mailings(desk: Desk, request: Request) -> Response:
    """Show the newest mailings that this person may see."""
    visitor, state = visitor_of(desk, request), request.query_params.get("state") or None
    states = list(MailingState)
    if state is not None and state not in {each.value for each in states}:
        raise Refused(404, _("no such state: expected one of %(all)s") % {"all": ", ".join(states)})
    sought, names = Sought((state,) if state else ()), agency_names(desk, request)
    rows = ledger_for(desk, request).mailings(sought, visitor.address).rows
    return page(desk, request, "mailings.html", rows=rows, state=state, states=states, names=names)


def review(desk: Desk, request: Request) -> Response:
    """Show one mailing with all that decides it."""
    return review_page(desk, request)


def review_page(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    """Show one mailing, with what its form had and what is wrong with it."""
    visitor, service = visitor_of(desk, request), ledger_for(desk, request)
    number = request.path_params["number"]
    seen = service.look(number, visitor.address)
    batches = _distinct(seen)
    values = {"errors": {}, "given": {}, "differences": (), "contents": None, **more}
    values["chosen"] = batches[0] if batches else None
    if seen.sight is Sight.CONTENT and batches:
        wanted = request.query_params.get("batch", "")
        values["chosen"] = next((each for each in batches if str(each.id) == wanted), batches[0])
        note_reading(desk, request, number, values["chosen"])
        values["contents"] = service.contents(values["chosen"])
    view = request.query_params.get("view", "rendered")
    return page(
        desk,
        request,
        "review.html",
        status,
        seen=seen,
        mailing=seen.case.mailing,
        batches=batches,
        view=view if view in _VIEWS else "rendered",
        names=agency_names(desk, request),
        key=request.state.id,
        bindings=BINDINGS,
        denials=service.ruleset.denials,
        **{**values, "errors": Given(values["errors"]), "given": Given(values["given"])},
    )


def _distinct(seen: VisibleCase) -> list[BatchView]:
    """Return one batch of each content, in the order in which they came."""
    first: dict[str, BatchView] = {}
    for batch in seen.case.batches:
        first.setdefault(batch.content_digest, batch)
    return list(first.values())


ROUTES = (
    PageRoute("/waiting", "GET", waiting, SIGNED_IN, "what waits, first for this person"),
    PageRoute("/mailings", "GET", mailings, SIGNED_IN, "the newest mailings that a person may see"),
    PageRoute("/mailings/M-{number:int}", "GET", review, SIGHT, "one mailing, with all that decides it"),
)
