"""Which name at which issuer an address belongs to: the first that claimed it, until an admin removes the pin.

An issuer's own name for somebody (`sub`) never changes, while addresses are given to others: who claims an address
under another name is somebody else.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import signin_pins
from gatekeeper.store.db.statements import upsert


@immutable
class Pin:
    """An address and who it belongs to; `claim` is the last that claimed the same and was refused."""

    address: str
    issuer: str
    subject: str
    pinned_at: float
    claim: str | None = None
    claimed_at: float | None = None


def pin(connection: Connection, wanted: Pin) -> Pin:
    """Pin an address to a subject unless either is pinned already; return the pin that holds.

    A claim that does not fit is noted at the pin that it meets.
    """
    values = {name: getattr(wanted, name) for name in ("address", "issuer", "subject", "pinned_at")}
    connection.execute(upsert(connection, signin_pins).values(values).on_conflict_do_nothing())
    table, subject = signin_pins.c, (signin_pins.c.issuer == wanted.issuer, signin_pins.c.subject == wanted.subject)
    query = select(signin_pins).where(or_(table.address == wanted.address, (subject[0]) & (subject[1])))
    for held in [Pin(**row) for row in connection.execute(query).mappings()]:
        if (held.address, held.issuer, held.subject) != (wanted.address, wanted.issuer, wanted.subject):
            _note(connection, held, wanted)
            return held
    return wanted


def _note(connection: Connection, held: Pin, claim: Pin) -> None:
    said = {"claim": f"{claim.address}, as {claim.subject} at {claim.issuer}", "claimed_at": claim.pinned_at}
    connection.execute(update(signin_pins).where(signin_pins.c.address == held.address).values(said))


def pins(connection: Connection) -> list[Pin]:
    """Return all pins by address."""
    return [Pin(**row) for row in connection.execute(select(signin_pins).order_by(signin_pins.c.address)).mappings()]


def unpin(connection: Connection, address: str) -> bool:
    """Remove the pin of an address; return False where there is none."""
    return connection.execute(delete(signin_pins).where(signin_pins.c.address == address)).rowcount == 1
