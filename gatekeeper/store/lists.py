"""Lists of mailings, requests and permits by parts, the newest first: what is listed is chosen by the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, false, or_, select, true

from gatekeeper.store import matter_people, permit_views, requests, views
from gatekeeper.store.db.schema import mailings, permit_scopes
from gatekeeper.store.db.schema import permits as permit_rows
from gatekeeper.store.db.schema import requests as request_rows
from gatekeeper.store.filters import (
    Filters,
    ListPage,
    Part,
    Place,
    Viewer,
    has_words,
    is_own,
    lists,
    part_of,
    seen_by,
)
from gatekeeper.store.matter_people import MAILING, PERMIT, REQUEST
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import NUMBERED, MailingView

Conditions = list[ColumnElement[bool]]


def list_mailings(
    connection: Connection, filters: Filters, viewer: Viewer | None, place: Place
) -> ListPage[MailingView]:
    """Return a part of the mailings with a number. Args: `viewer` is None for who sees all."""
    table = mailings.c
    chosen: Conditions = [*NUMBERED, seen_by(viewer, MAILING, table.id, table.agency)]
    chosen += [table.sender == filters.sender] if filters.sender else []
    chosen += [table.agency == filters.agency] if filters.agency else []
    chosen += [table.held_at.is_not(None), lists(table.reasons, filters.rule, "rule")] if filters.rule else []
    chosen += [is_own(MAILING, table.id, filters.mine)] if filters.mine else []
    chosen += _common(filters, table.state, table.changed_at)
    chosen += has_words(filters.words, table.number, table.subject, table.sender) if filters.words else []
    part = part_of(connection, mailings, chosen, place)
    return _page(views.with_tallies(connection, part.rows), part)


def mailings_among(connection: Connection, keys: Iterable[int], viewer: Viewer | None) -> list[MailingView]:
    """Return those of the mailings that have a number and that somebody may see. Args: `viewer` as above."""
    table = mailings.c
    chosen = (*NUMBERED, table.id.in_(list(keys)), seen_by(viewer, MAILING, table.id, table.agency))
    return views.with_tallies(connection, list(connection.execute(select(mailings).where(*chosen)).mappings()))


def requests_among(connection: Connection, keys: Iterable[int], viewer: Viewer | None) -> Sequence[RequestView]:
    """Return those of the requests that somebody may see. Args: `viewer` as above."""
    query = select(request_rows).where(request_rows.c.id.in_(list(keys)), sees_request(viewer))
    return requests.views_of(connection, list(connection.execute(query).mappings()))


def list_requests(
    connection: Connection, filters: Filters, viewer: Viewer | None, place: Place
) -> ListPage[RequestView]:
    """Return a part of the requests. Args: `viewer` is None for who sees all."""
    table = request_rows.c
    chosen: Conditions = [sees_request(viewer)]
    chosen += [or_(lists(table.senders, filters.sender), table.requester == filters.sender)] if filters.sender else []
    chosen += [table.agency == filters.agency] if filters.agency else []
    chosen += [lists(table.rules, filters.rule)] if filters.rule else []
    chosen += [_is_of(filters.mine)] if filters.mine else []
    chosen += _common(filters, table.state, table.changed_at)
    columns = (table.subject, table.purpose, table.requester, table.senders)
    chosen += has_words(filters.words, table.number, *columns) if filters.words else []
    part = part_of(connection, request_rows, chosen, place)
    return _page(requests.views_of(connection, part.rows), part)


def sees_request(viewer: Viewer | None) -> Any:
    """Return the condition that somebody may see a request; whose mail it is for may see it as well."""
    if viewer is None:
        return true()
    return or_(seen_by(viewer, REQUEST, request_rows.c.id, request_rows.c.agency), _is_of(viewer.address))


def _is_of(address: str) -> ColumnElement[bool]:
    return or_(request_rows.c.requester == address, lists(request_rows.c.senders, address))


def list_permits(connection: Connection, filters: Filters, viewer: Viewer | None, place: Place) -> ListPage[PermitView]:
    """Return a part of the permits. Args: `viewer` is None for who sees all."""
    table = permit_rows.c
    chosen: Conditions = [may_see_permit(viewer)]
    chosen += [_is_for("sender", [filters.sender])] if filters.sender else []
    chosen += [_is_for("agency", [filters.agency])] if filters.agency else []
    chosen += [lists(table.rules, filters.rule)] if filters.rule else []
    chosen += [table.given_by == filters.mine] if filters.mine else []
    chosen += [table.kind == filters.kind] if filters.kind else []
    chosen += [table.review == filters.review] if filters.review else []
    chosen += _common(filters, table.state, table.given_at)
    columns = (table.subject, table.purpose, table.given_by, table.reason)
    chosen += has_words(filters.words, table.number, *columns) if filters.words else []
    part = part_of(connection, permit_rows, chosen, place)
    return _page(permit_views.views_of(connection, part.rows), part)


def may_see_permit(viewer: Viewer | None) -> Any:
    """Return the condition that somebody may see a permit.

    They may see what they gave or were asked to review, what lets pass their own mail or that of an agency for which
    they ask, and what was given for a mailing or a request that they may see.
    """
    if viewer is None:
        return true()
    table, address = permit_rows.c, viewer.address
    agencies = true() if viewer.agencies is None else permit_scopes.c.name.in_(viewer.agencies)
    of_agency = select(permit_scopes.c.permit_id).where(permit_scopes.c.kind == "agency", agencies)
    return or_(
        table.given_by == address,
        table.id.in_(matter_people.keys_of(PERMIT, address)),
        _is_for("sender", [address]),
        table.id.in_(of_agency) if viewer.agencies != () else false(),
        table.request_id.in_(select(request_rows.c.id).where(sees_request(viewer))),
        table.mailing_id.in_(matter_people.keys_of(MAILING, address)),
    )


def is_seen_permit(connection: Connection, number: int, viewer: Viewer | None) -> bool:
    """Return True for a permit of that number that somebody may see."""
    query = select(permit_rows.c.id).where(permit_rows.c.number == number, may_see_permit(viewer))
    return connection.execute(query).first() is not None


def _is_for(kind: str, names: list[str]) -> ColumnElement[bool]:
    scopes = select(permit_scopes.c.permit_id).where(permit_scopes.c.kind == kind, permit_scopes.c.name.in_(names))
    return permit_rows.c.id.in_(scopes)


def _common(filters: Filters, state: ColumnElement[str], changed: ColumnElement[float]) -> Conditions:
    chosen = [state.in_(filters.states)] if filters.states else []
    return chosen + ([changed >= filters.since] if filters.since is not None else [])


def _page(found: list[Any], part: Part) -> ListPage[Any]:
    return ListPage(found, found[-1].id if part.is_more else None, part.count)
