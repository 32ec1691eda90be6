"""Requests: write, change, read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import RequestState, advance
from gatekeeper.model import Likeness
from gatekeeper.store.db.schema import events, permits, requests
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.rows import likeness_of, likeness_to_row, next_number
from gatekeeper.store.versions import AGREED, version_of
from gatekeeper.store.views import EventView, view_event

UNNEEDED, NEEDED = "unneeded", "needed"  # acts of the rules


@immutable
class Content:
    """The message that a request is bound to, and what others like it would have in common with it."""

    digest: str
    likeness: Likeness
    body: bytes = field(repr=False)  # SHA-256 of its octets, under which it is kept


@immutable
class Draft:
    """The contents of a request."""

    agency: str
    senders: tuple[str, ...]  # mailboxes, ids of agencies, or "group:NAME"
    subject: str
    subject_key: str
    purpose: str
    audiences: tuple[str, ...]
    users: int
    planned: date | None = None
    needed_by: date | None = None
    exception: bool = False
    content: Content | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the contents as JSON values; of a message that the request is bound to, its digest."""
        return {
            "agency": self.agency,
            "senders": list(self.senders),
            "subject": self.subject,
            "purpose": self.purpose,
            "audiences": list(self.audiences),
            "users": self.users,
            "planned": self.planned and self.planned.isoformat(),
            "needed_by": self.needed_by and self.needed_by.isoformat(),
            "exception": self.exception,
            "content": self.content and self.content.digest,
        }


@immutable
class RequestView:
    """A request and its state."""

    key: int = field(repr=False)
    id: str
    state: RequestState
    requester: str
    draft: Draft
    late: bool
    earliest: date | None  # the day that would not have been late
    rules: tuple[str, ...]  # the rules that it answers
    terms: Mapping[str, Any]  # limits set by those who approved so far
    appealed: bool
    final: bool
    reason: str  # of the last decision
    decided_by: str | None
    submitted_at: float
    changed_at: float
    permits: tuple[str, ...]
    version: str = ""  # changes with all that somebody would want to see before deciding


@immutable
class Assessment:
    """What the rules say about a draft."""

    rules: tuple[str, ...]
    late: bool
    earliest: date | None


def submit(connection: Connection, draft: Draft, assessed: Assessment, act: Act) -> int:
    """Write a new request; return its number."""
    number = next_number(connection, "request")
    row = {
        "number": number,
        "state": RequestState.SUBMITTED.value,
        "requester": act.by,
        "terms": {},
        "appealed": False,
        "final": False,
        "reason": "",
        "submitted_at": act.at,
        "changed_at": act.at,
        **_drafted(draft, assessed),
    }
    key: int = connection.execute(insert(requests).values(**row).returning(requests.c.id)).scalar_one()
    note(connection, key, "submitted", act)
    _dispense(connection, lock_request(connection, key), act)
    return number


def revise(connection: Connection, request: RequestView, draft: Draft, assessed: Assessment, act: Act) -> None:
    """Submit a changed request under its number; raise LifecycleError where its state forbids it."""
    change(connection, request, "revise", act, "submitted again", **_submitted_again(draft, assessed, act))
    _dispense(connection, lock_request(connection, request.key), act)


def appeal(connection: Connection, request: RequestView, draft: Draft, assessed: Assessment, act: Act) -> None:
    """Submit a denied request under its number; raise LifecycleError where its state forbids it."""
    change(connection, request, "appeal", act, "appealed", appealed=True, **_submitted_again(draft, assessed, act))
    _dispense(connection, lock_request(connection, request.key), act)


def _dispense(connection: Connection, request: RequestView | None, act: Act) -> None:
    """Note of a request that was submitted just now, and that no rule would hold, that it is not needed."""
    if request is not None and not request.rules:
        change(connection, request, "dispense", Act(act.at, "", ""), UNNEEDED)


def need(connection: Connection, request: RequestView, rules: Collection[str], now: float) -> None:
    """Submit a request that is needed since the rules have changed; raise LifecycleError where its state forbids it."""
    change(connection, request, "need", Act(now, "", ""), NEEDED, rules=list(rules), submitted_at=now)


def unneeded_from(connection: Connection, day: date) -> list[RequestView]:
    """Return the requests that are not needed, and that are planned for that day or later, or for none."""
    comes = or_(requests.c.planned.is_(None), requests.c.planned >= day.isoformat())
    query = select(requests).where(requests.c.state == RequestState.UNNEEDED, comes)
    return views_of(connection, connection.execute(query).mappings().all())


def _submitted_again(draft: Draft, assessed: Assessment, act: Act) -> dict[str, Any]:
    return {"terms": {}, "submitted_at": act.at, "requester": act.by, **_drafted(draft, assessed)}


def _drafted(draft: Draft, assessed: Assessment) -> dict[str, Any]:
    content = draft.content
    return {
        "agency": draft.agency,
        "senders": list(draft.senders),
        "subject": draft.subject,
        "subject_key": draft.subject_key,
        "purpose": draft.purpose,
        "audiences": list(draft.audiences),
        "users": draft.users,
        "planned": draft.planned and draft.planned.isoformat(),
        "needed_by": draft.needed_by and draft.needed_by.isoformat(),
        "content": content and {"digest": content.digest, **likeness_to_row(content.likeness)},
        "body": content and content.body,
        "exception": draft.exception,
        "late": assessed.late,
        "earliest": assessed.earliest and assessed.earliest.isoformat(),
        "rules": list(assessed.rules),
    }


def change(connection: Connection, request: RequestView, name: str, act: Act, noted: str, **values: Any) -> None:
    """Change a request's state and columns; raise LifecycleError where its state forbids it."""
    state = advance(request.state, name)
    query = update(requests).where(requests.c.id == request.key)
    connection.execute(query.values(state=state.value, changed_at=act.at, **values))
    note(connection, request.key, noted, act)


def note_yes(connection: Connection, request: RequestView, terms: Mapping[str, Any], act: Act) -> None:
    """Note one of several approvals that are needed; `terms` are the limits that all so far allow."""
    connection.execute(update(requests).where(requests.c.id == request.key).values(terms=dict(terms)))
    note(connection, request.key, AGREED, act)


def note(connection: Connection, key: int, name: str, act: Act) -> None:
    """Write a person's act to the request's timeline."""
    record(
        connection,
        Event(
            act.at,
            name,
            by=act.by or None,
            login=act.login or None,
            text=act.reason or None,
            request_id=key,
            details=act.details,
        ),
    )


# -- reading -----------------------------------------------------------------------------------------------------


def list_requests(connection: Connection, state: str | None = None, limit: int = 1000) -> list[RequestView]:
    """Return requests, newest first; of one state, where named."""
    query = select(requests).order_by(requests.c.number.desc()).limit(limit)
    if state:
        query = query.where(requests.c.state == state)
    return views_of(connection, connection.execute(query).mappings().all())


def find_request(connection: Connection, number: int, *, lock: bool = False) -> RequestView | None:
    """Return one request by its number; `lock` keeps others from deciding on it meanwhile."""
    return _one(connection, requests.c.number == number, lock)


def lock_request(connection: Connection, key: int) -> RequestView | None:
    """Return one request by the database's key, locked until the transaction ends."""
    return _one(connection, requests.c.id == key, True)


def bodies_of(connection: Connection, key: int) -> list[bytes]:
    """Return the digest of the message that a request is bound to; [] where it has none."""
    body = connection.execute(select(requests.c.body).where(requests.c.id == key)).scalar()
    return [bytes(body)] if body else []


def submitted(connection: Connection) -> list[tuple[RequestView, list[EventView]]]:
    """Return the requests that wait for a decision, each with its timeline."""
    return _with_events(connection, requests.c.state == RequestState.SUBMITTED)


def to_look_after(connection: Connection, since: float) -> list[tuple[RequestView, list[EventView]]]:
    """Return undecided requests, and those that changed since then, each with its timeline."""
    waits = requests.c.state.in_((RequestState.SUBMITTED, RequestState.CHANGES))
    return _with_events(connection, or_(waits, requests.c.changed_at >= since))


def _with_events(connection: Connection, chosen: ColumnElement[bool]) -> list[tuple[RequestView, list[EventView]]]:
    rows = connection.execute(select(requests).where(chosen)).mappings().all()
    keys = [row["id"] for row in rows]
    happened: dict[int, list[EventView]] = {key: [] for key in keys}
    query = select(events).where(events.c.request_id.in_(keys)).order_by(events.c.id)
    for row in connection.execute(query).mappings() if keys else ():
        happened[row["request_id"]].append(view_event(row))
    return [(view, happened[view.key]) for view in views_of(connection, rows)]


def with_purpose(connection: Connection, purpose: str) -> list[RequestView]:
    """Return requests of a purpose (in lower case) that are or may be approved, and name the day by which they are
    needed.
    """
    states = (RequestState.SUBMITTED, RequestState.CHANGES, RequestState.APPROVED)
    query = select(requests).where(requests.c.state.in_(states), requests.c.needed_by.is_not(None))
    rows = connection.execute(query.where(func.lower(requests.c.purpose) == purpose)).mappings().all()
    return views_of(connection, rows)


def _one(connection: Connection, condition: ColumnElement[bool], lock: bool) -> RequestView | None:
    query = select(requests).where(condition)
    rows = connection.execute(query.with_for_update() if lock else query).mappings().all()
    return next(iter(views_of(connection, rows)), None)


def views_of(connection: Connection, rows: Collection[RowMapping]) -> list[RequestView]:
    """Return requests of rows with their permits and versions."""
    given: dict[int, list[str]] = {row["id"]: [] for row in rows}
    query = select(permits.c.request_id, permits.c.number).where(permits.c.request_id.in_(list(given)))
    for key, number in connection.execute(query.order_by(permits.c.id)):
        given[key].append(f"P-{number}")
    yeses = _yeses(connection, list(given))
    return [_with_version(_view(row, given[row["id"]]), yeses.get(row["id"], [])) for row in rows]


def _yeses(connection: Connection, keys: list[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    query = select(events.c.request_id, events.c.by, events.c.at).where(events.c.request_id.in_(keys))
    for key, by, at in connection.execute(query.where(events.c.act == AGREED).order_by(events.c.id)):
        found.setdefault(key, []).append([by, at])
    return found


def _with_version(view: RequestView, yeses: list[Any]) -> RequestView:
    return replace(view, version=version_of([state_of(view), view.state, view.submitted_at, dict(view.terms), yeses]))


def state_of(request: RequestView) -> dict[str, Any]:
    """Return what a person who decides about a request sees of it, as JSON."""
    asked = request.draft.as_row()
    return {"id": request.id, "requester": request.requester, **asked, "rules": sorted(request.rules)}


def _view(row: RowMapping, given: Collection[str]) -> RequestView:
    return RequestView(
        key=row["id"],
        id=f"R-{row['number']}",
        state=RequestState(row["state"]),
        requester=row["requester"],
        draft=_draft(row),
        late=row["late"],
        earliest=_day(row["earliest"]),
        rules=tuple(row["rules"]),
        terms=row["terms"],
        appealed=row["appealed"],
        final=row["final"],
        reason=row["reason"],
        decided_by=row["decided_by"],
        submitted_at=row["submitted_at"],
        changed_at=row["changed_at"],
        permits=tuple(given),
    )


def _draft(row: RowMapping) -> Draft:
    content = row["content"]
    bound = Content(content["digest"], likeness_of(content), bytes(row["body"] or b"")) if content else None
    return Draft(
        agency=row["agency"],
        senders=tuple(row["senders"]),
        subject=row["subject"],
        subject_key=row["subject_key"],
        purpose=row["purpose"],
        audiences=tuple(row["audiences"]),
        users=row["users"],
        planned=_day(row["planned"]),
        needed_by=_day(row["needed_by"]),
        exception=row["exception"],
        content=bound,
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
