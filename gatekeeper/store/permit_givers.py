"""Who gave permits: everybody who agreed, not only the last of them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from gatekeeper.store.db.schema import events, permits
from gatekeeper.store.versions import AGREED


def givers(connection: Connection, names: Collection[str]) -> tuple[str, ...]:
    """Return the people who gave these permits ("P-9"), each once, in the order in which they agreed."""
    numbers = [int(name[2:]) for name in names]
    query = select(permits.c.request_id, permits.c.given_by).where(permits.c.number.in_(numbers)).order_by(permits.c.id)
    found: dict[str, None] = {}
    for request_id, given_by in connection.execute(query).all():
        if request_id is not None:
            found |= dict.fromkeys(_agreed(connection, request_id))
        found[given_by] = None
    return tuple(found)


def _agreed(connection: Connection, request_id: int) -> list[str]:
    """Return who had agreed to a request since it was last submitted, before the last of them approved it."""
    query = select(events.c.act, events.c.by).where(events.c.request_id == request_id).order_by(events.c.id)
    agreed: list[str] = []
    for act, by in connection.execute(query):
        if act in ("submitted", "submitted again", "appealed"):
            agreed = []
        elif act == AGREED and by:
            agreed.append(by)
    return agreed
