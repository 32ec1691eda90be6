"""Answer what the rules ask about an arrival's origin and client."""

from __future__ import annotations

from gatekeeper.model import SentQuery
from gatekeeper.store.sent import answer, read_people
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def count_sent(unit: UnitOfWork, pending: PendingDecision) -> dict[SentQuery, int]:
    """Return what the origin and client reach over all mailings, with this arrival in it.

    It is an upper bound where even that is less than any rule asks about; 0 where the mail counts for nobody. Raises
    DBAPIError.
    """
    arrival, keys = pending.arrival, pending.hashes.sent
    if not keys:
        return dict.fromkeys(arrival.sent, 0)
    sent: dict[SentQuery, int] = {}
    for query in arrival.sent:
        bound = unit.sent.bound(keys.of(query), query, pending.now) + len(pending.people)
        sent[query] = bound if bound < arrival.least_sent else _read(unit, pending, query)
    return sent


def _read(unit: UnitOfWork, pending: PendingDecision, query: SentQuery) -> int:
    unit.write()
    key = pending.hashes.sent.of(query)
    people = read_people(unit.connection, key, pending.now - query.within.total_seconds())
    unit.sent.remember(key, query, answer(query, people), pending.now)
    return answer(query, people | pending.people)
