"""Permits: give, narrow, revoke; and what was sent, stopped and is in flight under them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, case, func, insert, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import COVERING, BatchState, MailingState, PermitState, RecipientState, RequestState, advance
from gatekeeper.model import Likeness, Reason, Scope
from gatekeeper.store.db.schema import (
    batch_recipients,
    batches,
    jobs,
    mailings,
    permit_scopes,
    permit_uses,
    permits,
    requests,
)
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.jobs import in_hand
from gatekeeper.store.permit_uses import in_flight
from gatekeeper.store.permit_views import PermitView, views_of
from gatekeeper.store.rows import likeness_to_row, next_number, reasons_to_rows, scope_names

APPROVAL, EXCEPTION, EMERGENCY = "approval", "exception", "emergency"
OPEN, CLOSED = "open", "closed"  # the review of an emergency


@immutable
class Grant:
    """What is permitted; None and empty values do not bind."""

    kind: str
    rules: tuple[str, ...]
    scope: Scope
    since: float
    until: float
    binding: str = "none"  # or "exact", "template"
    digests: tuple[str, ...] = ()
    likeness: Likeness | None = None
    subject: str = ""
    subject_key: str = ""
    lists: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()
    ceiling: int | None = None
    uses: int | None = None
    purpose: str = ""
    mailing_key: int | None = None  # the held mailing that it is given for, which uses it at once
    request_key: int | None = None
    review: str | None = None


def grant(connection: Connection, given: Grant, act: Act) -> str:
    """Give a permit and return its id. Held mailings that it may cover are judged again."""
    number = next_number(connection, "permit")
    key: int = connection.execute(
        insert(permits).values(**_row(number, given, act)).returning(permits.c.id)
    ).scalar_one()
    names = [{"permit_id": key, "kind": kind, "name": name} for kind, name in scope_names(given.scope)]
    if names:
        connection.execute(insert(permit_scopes), names)
    if given.mailing_key is not None:
        use = {"permit_id": key, "mailing_id": given.mailing_key, "claimed_at": act.at, "relayed": 0}
        connection.execute(insert(permit_uses).values(**use))
    note(connection, key, "given", act)
    if given.kind != EMERGENCY:  # an emergency acts only on mail that arrives after it
        _look_again(connection, given, act.at)
    return f"P-{number}"


def _row(number: int, given: Grant, act: Act) -> dict[str, Any]:
    used = 0 if given.mailing_key is None else 1
    spent = given.uses is not None and used >= given.uses
    return {
        "number": number,
        "kind": given.kind,
        "state": (PermitState.USED if spent else PermitState.IN_FORCE).value,
        "mailing_id": given.mailing_key,
        "request_id": given.request_key,
        "rules": list(given.rules),
        "binding": given.binding,
        "digests": list(given.digests),
        **likeness_to_row(given.likeness),
        "subject": given.subject,
        "subject_key": given.subject_key,
        "lists": list(given.lists),
        "agencies": list(given.agencies),
        "ceiling": given.ceiling,
        "since": given.since,
        "until": given.until,
        "uses": given.uses,
        "used": used,
        "purpose": given.purpose,
        "reason": act.reason,
        "review": given.review,
        "given_by": act.by,
        "given_at": act.at,
    }


def _look_again(connection: Connection, given: Grant, now: float) -> None:
    content = select(batches.c.mailing_id).where(batches.c.content_digest.in_(given.digests))
    theirs = or_(
        mailings.c.sender.in_(sorted(given.scope.senders)),
        mailings.c.agency.in_(sorted(given.scope.agencies)),
        mailings.c.id.in_(content),
    )
    if given.scope.groups:
        theirs = mailings.c.id == mailings.c.id
    waiting = update(mailings).where(mailings.c.state == MailingState.HELD, theirs, mailings.c.id != given.mailing_key)
    if given.mailing_key is None:
        waiting = update(mailings).where(mailings.c.state == MailingState.HELD, theirs)
    due, known = max(now, given.since), mailings.c.look_again
    connection.execute(waiting.values(look_again=case((known < due, known), else_=due)))


def note(connection: Connection, key: int, name: str, act: Act) -> None:
    """Write a person's act to the permit's timeline."""
    record(connection, Event(act.at, name, by=act.by, login=act.login, text=act.reason or None, permit_id=key))


# -- changing permits --------------------------------------------------------------------------------------------


_STOPPED = frozenset({BatchState.HELD, BatchState.RETURNED, BatchState.WITHDRAWN})  # the last two: closed since


@immutable
class PermitEffect:
    """What a change to a permit stopped, and what had been sent under it, in recipients; and what is in flight."""

    stopped: int = 0
    sent: int = 0
    in_flight: int = 0  # messages, and batches whose answer is not known yet


def lock_with_mailings(connection: Connection, key: int) -> list[int]:
    """Lock every mailing that has used the permit, then the permit; return the mailings' keys.

    The order is that of decisions about mail: a mailing first, then its permits.
    """
    locked: set[int] = set()
    while True:
        used = select(permit_uses.c.mailing_id).where(permit_uses.c.permit_id == key)
        found = set(connection.execute(used).scalars())
        for mailing_id in sorted(found - locked):
            connection.execute(select(mailings.c.id).where(mailings.c.id == mailing_id).with_for_update())
        locked |= found
        connection.execute(select(permits.c.id).where(permits.c.id == key).with_for_update())
        if set(connection.execute(used).scalars()) <= locked:
            return sorted(locked)


def change(connection: Connection, permit: PermitView, name: str, act: Act, **values: Any) -> None:
    """Narrow, revoke or expire a permit, or close its review; raise LifecycleError where its state forbids it."""
    state = advance(permit.state, name)
    connection.execute(update(permits).where(permits.c.id == permit.key).values(state=state.value, **values))
    note(connection, permit.key, {"narrow": "narrowed", "revoke": "revoked"}.get(name, name), act)


def close_review(connection: Connection, permit: PermitView, act: Act) -> None:
    """Close the review of an emergency (M1)."""
    connection.execute(update(permits).where(permits.c.id == permit.key).values(review=CLOSED))
    note(connection, permit.key, "reviewed", act)


def stop(
    connection: Connection, permit: PermitView, mailing_keys: Collection[int], why: tuple[Reason, ...], act: Act
) -> None:
    """Hold again the batches that were released under the permit and have not left (S3, S5).

    Args: `why` are the reasons that their mailings are held for from now on.
    """
    for mailing_key in mailing_keys:
        under = _leaving_under(connection, permit.key, mailing_key)
        if under:  # one whose first part is at the next hop is held by `rest.release_rest`, with its mailing
            ids = [id for id, state in under if state == BatchState.RELEASED]
            _hold_again(connection, mailing_key, ids, _Stop(permit, why, act))


def _leaving_under(connection: Connection, permit_key: int, mailing_key: int) -> list[tuple[int, str]]:
    """Return the batches of a mailing that leave under a permit, and their states."""
    leaving = batches.c.state.in_((BatchState.RELEASED, BatchState.PASSING))
    query = select(batches.c.id, batches.c.state, batches.c.permits)
    query = query.where(batches.c.mailing_id == mailing_key, leaving)
    return [(id, state) for id, state, under in connection.execute(query.with_for_update()) if permit_key in under]


@immutable
class _Stop:
    """A change to a permit that stops what was released under it: the reasons to hold it for, and the act."""

    permit: PermitView
    why: tuple[Reason, ...]
    act: Act


def _hold_again(connection: Connection, mailing_key: int, ids: list[int], stopping: _Stop) -> None:
    permit, why, act = stopping.permit, stopping.why, stopping.act
    connection.execute(update(batches).where(batches.c.id.in_(ids)).values(state=BatchState.HELD.value))
    # A job that is not leased is done; a leased one is ended by its worker, after the group that is being sent.
    idle = update(jobs).where(jobs.c.batch_id.in_(ids), jobs.c.state == "due", jobs.c.lease_until <= act.at)
    connection.execute(idle.values(state="done", lease_until=0.0))
    row = connection.execute(select(mailings).where(mailings.c.id == mailing_key)).mappings().one()
    kept = [reason for reason in row["reasons"] if reason["rule"] not in {each.rule for each in why}]
    changes = {
        "state": advance(MailingState(row["state"]), "hold").value,
        "reasons": [*kept, *reasons_to_rows(why)],
        "held_at": act.at,
        "changed_at": act.at,
        "look_again": act.at,  # another permit, or what is left of this one, may cover it
        "version": row["version"] + 1,
    }
    connection.execute(update(mailings).where(mailings.c.id == mailing_key).values(**changes))
    record(
        connection,
        Event(
            act.at, "stopped", mailing_id=mailing_key, by=act.by, login=act.login, text=permit.id, permit_id=permit.key
        ),
    )


def effect_of(connection: Connection, permit: PermitView, now: float) -> PermitEffect:
    """Return what was sent under the permit, what waits, and what is in flight.

    What is in flight is read first: on Postgres each statement sees what was committed before it, and where nothing is
    in flight any more, the numbers that are read after that do not change.
    """
    used = select(permit_uses.c.mailing_id).where(permit_uses.c.permit_id == permit.key)
    relayed = select(func.sum(permit_uses.c.relayed)).where(permit_uses.c.permit_id == permit.key)
    # a mailing that was closed since may have given its use back
    had = select(mailings.c.id).where(mailings.c.number.in_([int(name[2:]) for name in permit.mailings]))
    known = {*connection.execute(used).scalars(), *connection.execute(had).scalars()}
    kept = select(batches.c.id, batches.c.permits, batches.c.state).where(batches.c.mailing_id.in_(known))
    under = {id: state for id, ids, state in connection.execute(kept) if permit.key in ids}
    stopped = [id for id, state in under.items() if state in _STOPPED]
    found = PermitEffect(in_flight=in_flight(connection, permit.key, now) + in_hand(connection, stopped, now))
    found = replace(found, sent=connection.execute(relayed).scalar_one() or 0)
    states = (
        select(batch_recipients.c.batch_id, batch_recipients.c.state, func.count())
        .where(batch_recipients.c.batch_id.in_(under))
        .group_by(batch_recipients.c.batch_id, batch_recipients.c.state)
    )
    for batch_id, state, number in connection.execute(states):
        if state == RecipientState.SENT:
            found = replace(found, sent=found.sent + number)
        elif state == RecipientState.WAITING and under[batch_id] in _STOPPED:
            found = replace(found, stopped=found.stopped + number)
    return found


# -- time --------------------------------------------------------------------------------------------------------


def expire_permits(connection: Connection, now: float) -> list[PermitView]:
    """Expire permits whose window is over; return them as they were."""
    over = select(permits).where(permits.c.state.in_(COVERING), permits.c.until < now).order_by(permits.c.id)
    rows = connection.execute(over.limit(500).with_for_update(skip_locked=True)).mappings().all()
    found = views_of(connection, rows)
    for permit in found:
        state = advance(permit.state, "expire")
        connection.execute(update(permits).where(permits.c.id == permit.key).values(state=state.value))
        record(connection, Event(now, "expired", permit_id=permit.key))
    _expire_requests(connection, [row["request_id"] for row in rows if row["request_id"] is not None], now)
    return found


def _expire_requests(connection: Connection, keys: Collection[int], now: float) -> None:
    """Expire approved requests that were never used, with their permits."""
    unused = select(requests.c.id).where(requests.c.id.in_(keys), requests.c.state == RequestState.APPROVED)
    for key in connection.execute(unused.order_by(requests.c.id).with_for_update()).scalars().all():
        state = advance(RequestState.APPROVED, "expire")
        connection.execute(update(requests).where(requests.c.id == key).values(state=state.value, changed_at=now))
        record(connection, Event(now, "expired", request_id=key))
