"""Read what a list is asked for: its filters, and which part of it, from the address of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from starlette.requests import Request

from gatekeeper.console.pages.common import Refused
from gatekeeper.console.words import _
from gatekeeper.ledger.service import Sought

MOST_ROWS = 50


def read_list(
    request: Request, *, states: Iterable[str] = (), kinds: Iterable[str] = (), reviews: Iterable[str] = ()
) -> Sought:
    """Return what is looked for. Raises Refused for a value that a list does not have.

    Args: the values that a filter may have, where the list has that filter.
    """
    given = request.query_params
    state, kind, review = (
        _one_of(given.get(name, ""), known) for name, known in (("state", states), ("kind", kinds), ("review", reviews))
    )
    return Sought(
        states=(state,) if state else (),
        agency=given.get("agency", ""),
        sender=given.get("sender", "").strip(),
        rule=given.get("rule", ""),
        words=given.get("q", ""),
        since=_day(given.get("since", "")),
        mine=given.get("mine") == "1",
        kind=kind,
        review=review,
        limit=MOST_ROWS,
        after=given.get("after", ""),
    )


def is_filtered(sought: Sought) -> bool:
    """Return True where not everything is listed."""
    return replace(sought, limit=MOST_ROWS, after="") != Sought(limit=MOST_ROWS)


def _one_of(text: str, known: Iterable[str]) -> str:
    values = [str(each) for each in known]
    if text and text not in values:
        raise Refused(404, _("there is no such filter: expected one of %(all)s") % {"all": ", ".join(values)})
    return text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Refused(404, _("since: expected a day as year, month and day, such as 2026-12-31")) from None
