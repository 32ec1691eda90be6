"""Show mailings: all that somebody may see, one with all that decides it."""

from __future__ import annotations

from collections.abc import Sequence
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
    case_for,
    checked_form,
    count_content,
    note_opened,
    to,
    visitor_of,
)
from gatekeeper.console.pages.decision_form import DECISIONS
from gatekeeper.console.pages.list_form import is_filtered, read_list
from gatekeeper.console.pages.messages import note_reading
from gatekeeper.console.rendering import page
from gatekeeper.console.word_diff import changes
from gatekeeper.console.words import _
from gatekeeper.ledger.looking import BatchView
from gatekeeper.ledger.terms import BINDINGS
from gatekeeper.lifecycle import MailingState, said
from gatekeeper.message import DEFECTS
from gatekeeper.message.file_names import warnings_of
from gatekeeper.message.preview import Contents

_VIEWS = ("rendered", "text", "source")
_MOST_CASE = 200  # characters


def mailings(desk: Desk, request: Request) -> Response:
    """Show the mailings that this person may see, the newest first."""
    visitor, ledger = visitor_of(desk, request), ledger_for(desk, request)
    states = list(MailingState)
    sought = read_list(request, states=states)
    found = ledger.mailings(sought, visitor.address)
    return page(
        desk,
        request,
        "mailings.html",
        found=found,
        rows=found.rows,
        sought=sought,
        is_filtered=is_filtered(sought),
        states=[(each.value, _(said(each))) for each in states],
        rules=[(rule.id, rule.id) for rule in ledger.ruleset.rules],
        names=agency_names(desk, request),
    )


def review(desk: Desk, request: Request) -> Response:
    """Show one mailing with all that decides it."""
    return review_page(desk, request)


def review_page(desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    """Show one mailing, with what its form had and what is wrong with it."""
    visitor, service = visitor_of(desk, request), ledger_for(desk, request)
    number = request.path_params["number"]
    seen = service.look(number, visitor.address)
    mailing = seen.case.mailing
    case = case_for(desk, visitor, number) if seen.needs_case else ""
    batches = distinct(seen.case.batches if case else seen.readable)
    chosen = request.query_params.get("decision", "")  # by the bar at the foot of a phone
    given = {"decision": chosen} if chosen in DECISIONS else {}
    values = {"errors": {}, "given": given, "differences": (), "contents": None, **more}
    values |= _contents(desk, request, batches)
    note_opened(desk, visitor, mailing.id, mailing.version)
    view = request.query_params.get("view", "rendered")
    return page(
        desk,
        request,
        "review.html",
        status,
        seen=seen,
        case_given=case,
        mailing=mailing,
        batches=batches,
        view=view if view in _VIEWS else "rendered",
        around=service.surroundings(mailing, visitor.address),
        names=agency_names(desk, request),
        bindings=BINDINGS,
        denials=service.ruleset.denials,
        defects=DEFECTS,
        file_warnings=warnings_of,
        **{**values, "errors": Given(values["errors"]), "given": Given(values["given"])},
    )


def _contents(desk: Desk, request: Request, batches: Sequence[BatchView]) -> dict[str, Any]:
    """Return the message that is shown of those that somebody may read, and what it changes against another."""
    if not batches:
        return {"chosen": None, "contents": None, "compared": None, "changed": (), "is_cut": False}
    service, number = ledger_for(desk, request), request.path_params["number"]
    chosen = _named(batches, request.query_params.get("batch", "")) or batches[0]
    if request.query_params.get("view") == "text":
        count_content(desk, request)
    compared = _named(batches, request.query_params.get("against", ""))
    note_reading(desk, request, number, chosen)
    contents = service.contents(chosen)
    changed, is_cut = changes("", "")
    if compared is not None:
        note_reading(desk, request, number, compared)
        changed, is_cut = changes(_text(service.contents(compared)), _text(contents))
    return {"chosen": chosen, "contents": contents, "compared": compared, "changed": changed, "is_cut": is_cut}


def _named(batches: Sequence[BatchView], id: str) -> BatchView | None:
    return next((each for each in batches if str(each.id) == id), None)


def _text(contents: Contents) -> str:
    shown = [part.text for part in contents.texts if part.type == "text/html"] or [each.text for each in contents.texts]
    return "\n".join(shown)


def distinct(batches: Sequence[BatchView]) -> list[BatchView]:
    """Return one batch of each content, in the order in which they came."""
    first: dict[str, BatchView] = {}
    for batch in batches:
        first.setdefault(batch.content_digest, batch)
    return list(first.values())


def give_case(desk: Desk, request: Request) -> Response:
    """Remember the case for which an admin or auditor reads a mailing, as long as they are signed in."""
    visitor, form = checked_form(desk, request)
    number, case = request.path_params["number"], form.get("case", "").strip()
    if not ledger_for(desk, request).look(number, visitor.address).needs_case:
        raise Refused(403, _("you need no case for this mailing"))
    if not case or len(case) > _MOST_CASE:
        errors = {"case": _("Write the number of the case, or the reason, in at most 200 characters.")}
        return review_page(desk, request, 422, errors=errors, given=form)
    desk.read.note((visitor.token, "case", number), case)
    return to(f"/mailings/M-{number}")


ROUTES = (
    PageRoute("/mailings", "GET", mailings, SIGNED_IN, "the mailings that a person may see, by filters"),
    PageRoute("/mailings/M-{number:int}", "GET", review, SIGHT, "one mailing, with all that decides it"),
    PageRoute("/mailings/M-{number:int}/case", "POST", give_case, SIGHT, "for which an admin or auditor reads it"),
)
