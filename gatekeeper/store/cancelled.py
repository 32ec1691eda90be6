"""Find approved mailings that a message may call off: of its source and subject, which have reached all its people."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import Connection, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Cancelled
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import batches, bodies, mailing_people, mailings, permit_uses, permits, requests
from gatekeeper.store.mailing_keys import hash_source, places_of
from gatekeeper.store.people import hash_people
from gatekeeper.store.rows import mailing_name, permit_of
from gatekeeper.store.standing import read_scopes

_MOST = 50  # mailings of one source, the newest first
_DAYS = 400  # since they were approved
_MOST_BODIES = 3  # different messages of each
_AT_ONCE = 500  # people that a statement asks about
MOST_OCTETS = 2_000_000  # of a message that is compared


@immutable
class Approved:
    """A mailing that may be called off, and the digests of the messages that were approved for it."""

    mailing: Cancelled
    bodies: tuple[bytes, ...]


def find_approved(
    connection: Connection, arrival: Arrival, secret: bytes, is_its_subject: Callable[[str], bool]
) -> list[Approved]:
    """Return mailings that a permit let pass, with the permit, the newest first; raise DBAPIError."""
    source = hash_source(secret, places_of(arrival.source)[0].name)
    query = (
        select(permits, *(mailings.c[name].label(f"its_{name}") for name in ("id", "number", "subject")))
        .join(permit_uses, permit_uses.c.permit_id == permits.c.id)
        .join(mailings, mailings.c.id == permit_uses.c.mailing_id)
        .where(mailings.c.source == source, mailings.c.number.is_not(None))
        .where(permit_uses.c.claimed_at > arrival.now.timestamp() - _DAYS * 86_400)
        .order_by(permit_uses.c.claimed_at.desc())
        .limit(_MOST)
    )
    people = list(hash_people(secret, arrival.audience))
    found = []
    for row in connection.execute(query).mappings():
        key = row["its_id"]
        if people and is_its_subject(row["its_subject"] or "") and _has_reached(connection, key, people):
            permit = permit_of(row, read_scopes(connection, [row["id"]])[row["id"]])
            mailing = Cancelled(mailing_name(row["its_number"]) or "", key, permit)
            found.append(Approved(mailing, _bodies(connection, key, row["request_id"])))
    return found


def _has_reached(connection: Connection, mailing: int, people: Collection[Hash]) -> bool:
    table, rest = mailing_people, list(people)
    reached = 0
    for at in range(0, len(rest), _AT_ONCE):
        among = table.c.person.in_(rest[at : at + _AT_ONCE])
        query = select(func.count()).where(table.c.mailing_id == mailing, table.c.reached, among)
        reached += connection.execute(query).scalar_one()
    return reached == len(rest)


def _bodies(connection: Connection, mailing: int, request: int | None) -> tuple[bytes, ...]:
    own = select(batches.c.body).where(batches.c.mailing_id == mailing)
    asked = select(requests.c.body).where(requests.c.id == request)
    query = select(bodies.c.digest).where(or_(bodies.c.digest.in_(own), bodies.c.digest.in_(asked)))
    query = query.where(bodies.c.size <= MOST_OCTETS).limit(_MOST_BODIES)
    return tuple(bytes(body) for body in connection.execute(query).scalars())
