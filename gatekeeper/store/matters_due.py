"""Matters of the ledger, and certificates, that are due by the schedule: over, and needed by nothing that stays.

A mailing stays while messages of it are kept, or a permit still holds that it was given or has used; a permit while a
mailing or a request of it is open; a request while its permit holds; a case while a hold of it is in force; a
certificate while anything refers to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, exists, or_, select

from gatekeeper.lifecycle import (
    CaseState,
    DisposalState,
    MailingState,
    PermitState,
    PreserveState,
    RequestState,
    SuspensionState,
)
from gatekeeper.store.acts import COLUMNS, matter_of, to_json
from gatekeeper.store.db.schema import (
    batches,
    cases,
    custodians,
    disposal_items,
    disposals,
    events,
    mailings,
    permit_scopes,
    permit_uses,
    permits,
    preserves,
    requests,
    suspensions,
)
from gatekeeper.store.disposals import CONTENT, DESTROYED, ELSEWHERE, Found
from gatekeeper.store.due import SETTLED, Age, has_content, is_over
from gatekeeper.store.permits import OPEN

MAILING, REQUEST, PERMIT, SUSPENSION = "mailing", "request", "permit", "suspension"
CASE, HOLD, CERTIFICATE = "case", "hold", "certificate"
OF_LEDGER = (MAILING, REQUEST, PERMIT, SUSPENSION, CASE, HOLD)
_AT_ONCE = 400  # matters that are read together
_ENDED_REQUESTS = (
    RequestState.UNNEEDED,
    RequestState.DENIED,
    RequestState.WITHDRAWN,
    RequestState.USED,
    RequestState.REVOKED,
    RequestState.EXPIRED,
)
_ENDED_PERMITS = (PermitState.USED, PermitState.REVOKED, PermitState.EXPIRED)


def matters_due(kind: str, age: Age) -> Select[int]:
    """Select the keys of matters of a kind that are due."""
    table = matter_of(kind).table
    return select(table.c.id).where(table.c.disposed.is_(None), *_DUE[kind](age))


def _mailings(age: Age) -> tuple[ColumnElement[bool], ...]:
    young = exists().where(batches.c.mailing_id == mailings.c.id, batches.c.received_at >= age.before)
    came = and_(mailings.c.started_at < age.before, ~young)
    given = exists().where(permits.c.mailing_id == mailings.c.id, _permit_stays(age))
    used = exists().where(
        permit_uses.c.mailing_id == mailings.c.id, permits.c.id == permit_uses.c.permit_id, _permit_stays(age)
    )
    aged = mailings.c.changed_at < age.before if age.closed else came
    return is_over(), ~has_content(), aged, ~given, ~used


def _permit_over(age: Age) -> ColumnElement[bool]:
    reviewed = or_(permits.c.review.is_(None), permits.c.review != OPEN)
    return and_(permits.c.state.in_(_ENDED_PERMITS), permits.c.until < age.before, reviewed)


def _permit_stays(age: Age) -> ColumnElement[bool]:
    return and_(permits.c.disposed.is_(None), ~_permit_over(age))


def _requests(age: Age) -> tuple[ColumnElement[bool], ...]:
    holds = exists().where(permits.c.request_id == requests.c.id, _permit_stays(age))
    came = requests.c.changed_at if age.closed else requests.c.submitted_at
    return requests.c.state.in_(_ENDED_REQUESTS), came < age.before, ~holds


def _permits(age: Age) -> tuple[ColumnElement[bool], ...]:
    asked = exists().where(requests.c.id == permits.c.request_id, requests.c.state.not_in(_ENDED_REQUESTS))
    unsettled = exists().where(batches.c.mailing_id == mailings.c.id, batches.c.state.not_in(SETTLED))
    busy = or_(mailings.c.state.in_((MailingState.HELD, MailingState.GATHERING)), unsettled)
    given = exists().where(mailings.c.id == permits.c.mailing_id, busy)
    used = exists().where(permit_uses.c.permit_id == permits.c.id, mailings.c.id == permit_uses.c.mailing_id, busy)
    return _permit_over(age), permits.c.given_at < age.before, ~asked, ~given, ~used


def _suspensions(age: Age) -> tuple[ColumnElement[bool], ...]:
    over = or_(suspensions.c.state == SuspensionState.ENDED, suspensions.c.until < age.before)
    touched = exists().where(events.c.suspension_id == suspensions.c.id, events.c.at >= age.before)
    return over, suspensions.c.given_at < age.before, ~touched


def _cases(age: Age) -> tuple[ColumnElement[bool], ...]:
    own = preserves.alias()
    held = exists().where(
        own.c.case_id == cases.c.id,
        or_(own.c.state == PreserveState.IN_FORCE, own.c.released_at >= age.before),
    )
    came = cases.c.closed_at if age.closed else cases.c.opened_at
    return cases.c.state == CaseState.CLOSED, came < age.before, ~held


def _holds(age: Age) -> tuple[ColumnElement[bool], ...]:
    gone = select(cases.c.id).where(cases.c.disposed.is_not(None))
    of_case = or_(preserves.c.case_id.in_(matters_due(CASE, age)), preserves.c.case_id.in_(gone))
    return preserves.c.state == PreserveState.RELEASED, preserves.c.released_at < age.before, of_case


def _certificates(age: Age) -> tuple[ColumnElement[bool], ...]:
    """Of content alone, once nothing is left of the mailings but a line that names another certificate."""
    item, over = disposal_items.c, (DisposalState.DONE, DisposalState.WITHDRAWN)
    explains = exists().where(
        item.disposal_id == disposals.c.id,
        item.state.in_((DESTROYED, ELSEWHERE)),
        or_(item.kind != CONTENT, exists().where(mailings.c.id == item.mailing_id, mailings.c.disposed.is_(None))),
    )
    ended = or_(disposals.c.done_at < age.before, disposals.c.withdrawn_at < age.before)
    return disposals.c.state.in_(over), ended, ~explains


_DUE: Mapping[str, Callable[[Age], tuple[ColumnElement[bool], ...]]] = {
    MAILING: _mailings,
    REQUEST: _requests,
    PERMIT: _permits,
    SUSPENSION: _suspensions,
    CASE: _cases,
    HOLD: _holds,
    CERTIFICATE: _certificates,
}


# -- what a list has of them -----------------------------------------------------------------------------------------


def found_matters(connection: Connection, kind: str, keys: Sequence[int]) -> Iterator[Found]:
    """Yield matters as items of a list, with the SHA-256 of what the ledger has of each: its row and its timeline."""
    table = matter_of(kind).table
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        rows = connection.execute(select(table).where(table.c.id.in_(part)).order_by(table.c.number)).mappings()
        more = _more_of(connection, kind, part)
        for row in rows.all():
            octets = to_json({"row": _plain(row), **more.get(row["id"], {})}).encode()
            yield Found(row["id"], row["number"], sha256(octets).digest(), len(octets), kind)


def _plain(row: RowMapping) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "disposed"}


def _more_of(connection: Connection, kind: str, keys: Sequence[int]) -> dict[int, dict[str, list[object]]]:
    """Return what tables besides have of matters: their timeline, the scopes of permits, custodians of holds."""
    found: dict[int, dict[str, list[object]]] = {}
    also = {PERMIT: permit_scopes.c.permit_id, HOLD: custodians.c.preserve_id}
    for column in (events.c[COLUMNS[kind]], *([also[kind]] if kind in also else [])):
        table = column.table
        query = select(table).where(column.in_(keys)).order_by(*table.primary_key)
        for row in connection.execute(query).mappings():
            found.setdefault(row[column], {}).setdefault(table.name, []).append(dict(row))
    return found


CAME: Mapping[str, ColumnElement[float]] = {  # when a matter began
    MAILING: mailings.c.started_at,
    REQUEST: requests.c.submitted_at,
    PERMIT: permits.c.given_at,
    SUSPENSION: suspensions.c.given_at,
    CASE: cases.c.opened_at,
    HOLD: preserves.c.placed_at,
    CERTIFICATE: disposals.c.proposed_at,
}
