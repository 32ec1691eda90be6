"""How much mail is kept, of all senders and of one origin, and whether there is room for more (--keep-limit and -each).

All mail that is stored counts for the whole, each body once. For an origin counts what is still to be decided or sent:
mail that has ended makes room for more. The origin is the login, else the inside MAIL FROM; From, which anybody may
write, is none: mail that has nothing else counts for the client that brought it.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED, BatchState
from gatekeeper.store.arrival import Arrival, KeptAs
from gatekeeper.store.db.errors import StoreFull
from gatekeeper.store.db.hashing import Hash, keyed
from gatekeeper.store.db.schema import batches, bodies
from gatekeeper.store.mailing_keys import places_of

RECIPIENT_OCTETS = 100  # that a recipient of a kept batch takes beside the message
_OPEN = (BatchState.STORING, BatchState.PASSING, BatchState.GATHERED, BatchState.HELD, BatchState.RELEASED)


class KeptTooMuch(StoreFull):
    """There is no room for a batch within a limit: that of its origin, or that of all mail."""

    def __init__(self, text: str, *, of_origin: bool) -> None:
        super().__init__(text)
        self.of_origin = of_origin


@immutable
class KeepLimits:
    """The most octets that are kept: of all mail, and of one origin; None for no limit."""

    total: int | None = None
    each: int | None = None


NO_LIMITS = KeepLimits()


def read_total(connection: Connection) -> int:
    """Return the octets of all bodies that are stored."""
    return int(connection.execute(select(func.coalesce(func.sum(bodies.c.size), 0))).scalar_one())


def origin_of(secret: bytes, arrival: Arrival) -> Hash:
    """Return the keyed hash of the origin for which an arrival counts, should it be kept."""
    place = places_of(arrival.source)[0]
    name = f"client {arrival.transaction.client.address}" if place.named else place.name
    return keyed(secret, f"kept {name}")


def find_obstacle(connection: Connection, arrival: Arrival, named: KeptAs, limits: KeepLimits) -> KeptTooMuch | None:
    """Return why an arrival that is to be kept has no room within the limits; None where it has."""
    size = len(arrival.transaction.content)
    if limits.each is not None:
        own, beside = _kept_of(connection, named), RECIPIENT_OCTETS * len(arrival.transaction.recipients)
        if own + beside + size > limits.each:
            return KeptTooMuch(f"its sender has {own} octets kept of {limits.each} (--keep-limit-each)", of_origin=True)
    if limits.total is not None:
        kept = total_kept(connection, but=named.body)
        if kept + size > limits.total:
            return KeptTooMuch(f"{kept} octets of all mail are kept of {limits.total} (--keep-limit)", of_origin=False)
    return None


def _kept_of(connection: Connection, named: KeptAs) -> int:
    """Return the octets kept of an origin, without the body that is to be kept, which would be stored only once."""
    own = (batches.c.origin == named.origin, batches.c.state.in_(_OPEN))
    recipients = connection.execute(select(func.coalesce(func.sum(batches.c.recipients), 0)).where(*own)).scalar_one()
    each = select(batches.c.body, batches.c.size).where(*own, batches.c.body != named.body).distinct().subquery()
    octets = connection.execute(select(func.coalesce(func.sum(each.c.size), 0))).scalar_one()
    return int(octets) + RECIPIENT_OCTETS * int(recipients)


def total_kept(connection: Connection, but: bytes = b"") -> int:
    """Return the octets of all bodies that are stored, or about to be, without the body `but`."""
    stored = select(func.coalesce(func.sum(bodies.c.size), 0)).where(bodies.c.digest != but)
    coming = select(batches.c.body, batches.c.size).where(
        batches.c.state.in_(UNACKNOWLEDGED),
        batches.c.body != but,
        batches.c.body.not_in(select(bodies.c.digest)),
    )
    arriving = select(func.coalesce(func.sum(coming.distinct().subquery().c.size), 0))
    return sum(int(connection.execute(query).scalar_one()) for query in (stored, arriving))
