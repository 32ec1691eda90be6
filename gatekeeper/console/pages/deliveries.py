"""Show whom a mailing goes to, and what became of it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gatekeeper.console.desk import Desk, Visitor
from gatekeeper.console.guard import ledger_for
from gatekeeper.console.pages.common import (
    CONTENT,
    SIGHT,
    PageRoute,
    Refused,
    agency_names,
    case_for,
    count_content,
    visitor_of,
)
from gatekeeper.console.rendering import page
from gatekeeper.console.words import _
from gatekeeper.ledger.deliveries import Delivery, Recipients
from gatekeeper.ledger.service import NotAllowed, NotFound
from gatekeeper.lifecycle import RecipientState

_ROWS = 100
_ACTING = ("=", "+", "-", "@", "\t", "\r")  # with which a cell begins that a spreadsheet would carry out


def recipients(desk: Desk, request: Request) -> Response:
    """Show the addresses of a mailing by parts, with what became of each; its timeline notes it once a session."""
    count_content(desk, request)
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    ledger = ledger_for(desk, request)
    key, given = (visitor.token, "recipients", number), _given(request)
    sought = replace(_sought(desk, visitor, request), is_noted=desk.read.get(key) is not None)
    try:
        found = ledger.recipients(number, visitor.address, sought)
    except NotAllowed as error:
        raise NotFound(str(error)) from None
    desk.read.note(key)
    kept = {name: value for name, value in given.items() if value}
    return page(
        desk,
        request,
        "recipients.html",
        number=f"M-{number}",
        found=found,
        rows=found.rows,
        csv=f"{request.url.path}.csv?{urlencode(kept)}",
        given=given,
        names=agency_names(desk, request),
        states=list(RecipientState),
    )


def recipients_csv(desk: Desk, request: Request) -> Response:
    """Return the addresses as a file, which the timeline notes each time."""
    count_content(desk, request)
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    try:
        found = ledger_for(desk, request).take_recipients(number, visitor.address, _sought(desk, visitor, request))
    except NotAllowed as error:
        raise NotFound(str(error)) from None
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("address", "agency", "state", "reply"))
    for each in found:
        writer.writerow(map(_cell, (each.address, each.agency or "", each.state.value, each.reply)))
    name = f'attachment; filename="M-{number}-recipients.csv"'
    return Response(out.getvalue(), headers={"content-disposition": name}, media_type="text/csv; charset=utf-8")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_ACTING) else text


def _given(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "").strip() for name in ("agency", "state")}


def _sought(desk: Desk, visitor: Visitor, request: Request) -> Recipients:
    given, number = _given(request), request.path_params["number"]
    states = [each.value for each in RecipientState]
    if not given["agency"].isprintable():
        raise Refused(404, _("no such agency"))
    if given["state"] and given["state"] not in states:
        raise Refused(404, _("no such state: expected one of %(all)s") % {"all": ", ".join(states)})
    after = request.query_params.get("after", "")
    return Recipients(given["agency"], given["state"], _ROWS, after, case_for(desk, visitor, number))


def delivery(desk: Desk, request: Request) -> Response:
    """Show what became of a mailing: by domain and answer, and what waits to be sent."""
    visitor, number = visitor_of(desk, request), request.path_params["number"]
    found = ledger_for(desk, request).delivery(number, visitor.address)
    inside, outside = _answers(desk, request, found)
    options: dict[str, Any] = {"delivery": found, "tally": found.tally, "inside": inside, "outside": outside}
    return page(desk, request, "delivery.html", mailing=found.mailing, **options)


def _answers(desk: Desk, request: Request, found: Delivery) -> list[list[dict[str, Any]]]:
    """Return the recipients inside and outside by domain and answer: all are read anew only where one has an answer."""
    ledger = ledger_for(desk, request)
    key = ("answers", ledger.ruleset.digest, found.mailing.id, found.tally)
    known = desk.counted.get(key)
    if known is None:
        counted = ledger.answers(request.path_params["number"], visitor_of(desk, request).address)
        known = json.dumps([[asdict(each) for each in rows] for rows in (counted.inside, counted.outside)])
        desk.counted.note(key, known)
    answers: list[list[dict[str, Any]]] = json.loads(known)
    return answers


ROUTES = (
    PageRoute("/mailings/M-{number:int}/recipients", "GET", recipients, CONTENT, "its recipients, by parts"),
    PageRoute("/mailings/M-{number:int}/recipients.csv", "GET", recipients_csv, CONTENT, "the same, as a file"),
    PageRoute("/mailings/M-{number:int}/delivery", "GET", delivery, SIGHT, "what became of it, by domain and answer"),
)
