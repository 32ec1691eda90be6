"""Claiming a permit: of several mailings that would use up the same use, exactly one does.

A transaction that relies on a permit locks the permit's row until it ends, in the order of ids, and checks that the
permit is still as it was when it was judged. A permit that was claimed already, or that has no count of uses, is only
locked against change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, exists, func, insert, or_, select, update

from gatekeeper.lifecycle import BatchState, PermitState, RecipientState, RequestState, advance
from gatekeeper.model import Permit, Standing
from gatekeeper.store import removal
from gatekeeper.store.db.schema import batch_recipients, batches, flights, permit_uses, permits, requests
from gatekeeper.store.events import Event, record
from gatekeeper.store.rows import permit_of
from gatekeeper.store.standing import read_scopes

T = TypeVar("T")
FLIGHT_SECONDS = (
    660.0  # for which a message is taken to be on its way where nobody says how it ended (RFC 5321 4.5.3.2)
)


def judge_with_permits(
    connection: Connection,
    mailing_id: int | None,
    standing: Standing,
    judge: Callable[[Standing], T],
    relied_on: Callable[[T], Collection[str]],
) -> T:
    """Judge, and judge again until the permits that the verdict relies on are locked and unchanged; return the verdict.

    Args: `relied_on` returns the permits ("P-9") that let something pass by the verdict.
    """
    while True:
        verdict = judge(standing)
        fresh = lock(connection, mailing_id, relied_on(verdict), standing)
        known = tuple(fresh.get(permit.id, permit) for permit in standing.permits)
        if known == standing.permits:
            return verdict
        standing = replace(standing, permits=known)


def lock(
    connection: Connection, mailing_id: int | None, names: Collection[str], standing: Standing
) -> dict[str, Permit]:
    """Lock these permits until the transaction ends, and return them as they are now."""
    claimed = {permit.id for permit in standing.permits if permit.claimed}
    fresh: dict[str, Permit] = {}
    for name in sorted(names, key=_number_of):
        row = _lock_row(connection, _number_of(name), to_use=name not in claimed)
        used = select(permit_uses.c.mailing_id).where(
            permit_uses.c.permit_id == row["id"], permit_uses.c.mailing_id == mailing_id
        )
        own = mailing_id is not None and connection.execute(used).first() is not None
        fresh[name] = permit_of(row, read_scopes(connection, [row["id"]])[row["id"]], claimed=own)
    return fresh


def _lock_row(connection: Connection, number: int, *, to_use: bool) -> RowMapping:
    query = select(permits).where(permits.c.number == number)
    if to_use:
        row = connection.execute(query).mappings().one()
        to_use = row["uses"] is not None
    return connection.execute(query.with_for_update(read=not to_use)).mappings().one()


def claim(
    connection: Connection, names: Collection[str], mailing_id: int, now: float, *, relayed: int = 0
) -> list[int]:
    """Use locked permits for a mailing, each at most once; return their ids.

    Args: `relayed` is the number of recipients that pass by this without a stop.
    """
    return [_claim(connection, _number_of(name), mailing_id, now, relayed) for name in sorted(names, key=_number_of)]


def _claim(connection: Connection, number: int, mailing_id: int, now: float, relayed: int) -> int:
    permit = connection.execute(select(permits).where(permits.c.number == number)).mappings().one()
    id: int = permit["id"]
    own = update(permit_uses).where(permit_uses.c.permit_id == id, permit_uses.c.mailing_id == mailing_id)
    if connection.execute(own.values(relayed=permit_uses.c.relayed + relayed)).rowcount:
        return id
    connection.execute(insert(permit_uses).values(permit_id=id, mailing_id=mailing_id, claimed_at=now, relayed=relayed))
    used = permit["used"] + 1
    changes = {"used": used}
    if permit["uses"] is not None and used >= permit["uses"]:
        changes["state"] = advance(PermitState(permit["state"]), "use up").value
        _use_request(connection, permit["request_id"], now)
    connection.execute(update(permits).where(permits.c.id == id).values(**changes))
    record(connection, Event(now, "permitted", mailing_id=mailing_id, text=f"P-{number}", permit_id=id))
    return id


def _use_request(connection: Connection, request_id: int | None, now: float) -> None:
    if request_id is None:
        return
    state = connection.execute(select(requests.c.state).where(requests.c.id == request_id)).scalar_one()
    if state == RequestState.APPROVED:
        follows = advance(RequestState(state), "use").value
        connection.execute(update(requests).where(requests.c.id == request_id).values(state=follows, changed_at=now))
        record(connection, Event(now, "used", request_id=request_id))


def give_back(connection: Connection, mailing_id: int, now: float) -> None:
    """Give back the uses of a mailing that is closed before anything of it was sent."""
    query = select(permits, permit_uses.c.relayed).join(permit_uses, permit_uses.c.permit_id == permits.c.id)
    query = query.where(permit_uses.c.mailing_id == mailing_id, permits.c.mailing_id.is_(None)).order_by(permits.c.id)
    for permit in connection.execute(query.with_for_update(of=permits)).mappings().all():
        if (
            permit["relayed"]
            or _was_sent(connection, mailing_id)
            or permit["state"] not in (PermitState.IN_FORCE, PermitState.USED)
        ):
            continue
        removal.give_back_use(connection, permit["id"], mailing_id)
        state = advance(PermitState(permit["state"]), "give back").value
        changed = update(permits).where(permits.c.id == permit["id"])
        connection.execute(changed.values(state=state, used=permit["used"] - 1))
        again = update(requests).where(requests.c.id == permit["request_id"], requests.c.state == RequestState.USED)
        if connection.execute(again.values(state=RequestState.APPROVED.value, changed_at=now)).rowcount:
            record(connection, Event(now, "given back", request_id=permit["request_id"]))


def _was_sent(connection: Connection, mailing_id: int) -> bool:
    """Return True where some of the mailing is on its way, or somebody has received it, even of a batch that was
    stopped.
    """
    gone = batches.c.state.in_((BatchState.RELEASED, BatchState.SENT))
    delivered = exists().where(
        batch_recipients.c.batch_id == batches.c.id, batch_recipients.c.state == RecipientState.SENT
    )
    sent = select(batches.c.id).where(batches.c.mailing_id == mailing_id, or_(gone, delivered))
    return connection.execute(sent.limit(1)).first() is not None


def _number_of(name: str) -> int:
    """Return the 9 of P-9."""
    return int(name[2:])


# -- flights: messages that pass by a permit and are not answered yet --------------------------------------------


def first_beginning(connection: Connection, now: float) -> float | None:
    """Return when the first of the permits in force begins that have not begun yet; None where all have."""
    query = select(func.min(permits.c.since)).where(permits.c.state == PermitState.IN_FORCE, permits.c.since > now)
    begins: float | None = connection.execute(query).scalar()
    return begins


def begin_flight(connection: Connection, permit_ids: list[int], now: float) -> int:
    """Note that a message is about to pass under these permits; return the flight's id."""
    row = {"permits": permit_ids, "until": now + FLIGHT_SECONDS}
    flight: int = connection.execute(insert(flights).values(**row).returning(flights.c.id)).scalar_one()
    return flight


def end_flight(connection: Connection, flight: int) -> None:
    """Note that the next hop has answered, or that nothing was sent to it."""
    connection.execute(flights.delete().where(flights.c.id == flight))


def in_flight(connection: Connection, permit_id: int, now: float) -> int:
    """Return how many messages are in flight under the permit."""
    rows = connection.execute(select(flights.c.permits).where(flights.c.until > now)).scalars()
    return sum(permit_id in ids for ids in rows)


def forget_flights(connection: Connection, now: float) -> None:
    """Remove flights that are over for certain."""
    connection.execute(flights.delete().where(flights.c.until <= now))
