"""Answer what the rules ask about an arrival's origin and client."""

from __future__ import annotations

from gatekeeper.model import SentQuery
from gatekeeper.store.sent import answer, read_agencies, read_people
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def count_sent(unit: UnitOfWork, pending: PendingDecision) -> dict[SentQuery, int]:
    """Return what the origin and client reach over all mailings, with this arrival in it.

    It is an upper bound where even that is less than any rule asks about, and what was found in this hour where that is
    more than any rule asks about: who writes to thousands would otherwise have all of them read with each message. 0
    where the mail counts for nobody. Raises DBAPIError.
    """
    arrival, keys = pending.arrival, pending.hashes.sent
    if not keys:
        return dict.fromkeys(arrival.sent, 0)
    sent: dict[SentQuery, int] = {}
    for query in arrival.sent:
        bound = unit.sent.bound(keys.of(query), query, pending.now) + len(pending.people)
        sent[query] = bound if bound < arrival.least_sent else _find(unit, pending, query)
    return sent


def _find(unit: UnitOfWork, pending: PendingDecision, query: SentQuery) -> int:
    found = unit.sent.found_lately(pending.hashes.sent.of(query), query, pending.now)
    most = pending.arrival.most_sent.get(query)
    return _read(unit, pending, query) if found is None or most is None or found < most else found


def _read(unit: UnitOfWork, pending: PendingDecision, query: SentQuery) -> int:
    unit.write()
    key, since = pending.hashes.sent.of(query), pending.now - query.within.total_seconds()
    if query.field == "sender_agencies":
        agencies = read_agencies(unit.connection, key, since)
        unit.sent.remember(key, query, len(agencies), pending.now)
        return len((agencies | {person.agency for person in pending.people.values()}) - {None})
    people = read_people(unit.connection, key, since)
    unit.sent.remember(key, query, answer(query, people), pending.now)
    return answer(query, people | pending.people)
