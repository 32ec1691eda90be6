"""What rules ask of a mailing beyond its counts: how much of a list it reaches, people in no list, missing consent.

Kept beside the mailing as numbers that grow with the new people of a batch. How much of a list is reached is exact:
where the number was made of other members than the list has now, or two mailings were merged, it is counted anew from
the set of people. Two other numbers are added up in a merge, so that somebody whom both mailings had reached counts
twice. How many people are beside lists that were expanded before the gate is exact where a batch shows such lists, and
at most that where others follow.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from gatekeeper.model import Audience, WatchedList
from gatekeeper.store.active_mailing import ActiveMailing
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import mailing_people
from gatekeeper.store.people import hash_person
from gatekeeper.store.unit_of_work import UnitOfWork

# {"unlisted": 3, "unconsented": 0, "beside": 1, "reach": {list: [reached, members, version]}}
Tallies = Mapping[str, Any]


def tally(unit: UnitOfWork, mailing: ActiveMailing, audience: Audience, new: Container[Hash]) -> Tallies:
    """Return the mailing's tallies with the new people of a batch in them."""
    before: Tallies = mailing.row["tallies"] or {}
    is_beside = "beside" in before  # nobody of this batch is known to be in the lists
    if audience.unlisted is None and audience.unconsented is None and not (audience.watched or is_beside):
        return before
    names = {name for name in (*audience.users, *audience.externals) if hash_person(unit.secret, name) in new}
    grown: dict[str, Any] = {}
    for key, people in (("unlisted", audience.unlisted), ("unconsented", audience.unconsented)):
        if people is not None:
            grown[key] = before.get(key, 0) + len(names & people)
    known = before.get("reach", {})
    reach: dict[str, list[Any]] = {
        address: [_reached(unit, mailing, watched, known.get(address)) + len(names & watched.members), *_list(watched)]
        for address, watched in audience.watched.items()
    }
    if audience.together:
        grown["beside"] = mailing.counts.people + len(names) - reach[audience.together][0]
    elif is_beside:
        grown["beside"] = before["beside"] + len(names)
    return {**before, **grown, "reach": reach}


def _list(watched: WatchedList) -> tuple[int, str]:
    return len(watched.members), watched.version


def _reached(unit: UnitOfWork, mailing: ActiveMailing, watched: WatchedList, known: Any) -> int:
    """Return how many members were reached before this batch: as `known` says, else counted anew."""
    if known is not None and tuple(known[1:]) == _list(watched):
        return int(known[0])
    if not mailing.counts.people:
        return 0
    unit.write()
    query = select(mailing_people.c.person).where(mailing_people.c.mailing_id == mailing.id)
    counted = map(bytes, unit.connection.execute(query).scalars())
    return len(_hashes(unit.secret, watched).intersection(counted))


@lru_cache(maxsize=4)
def _hashes(secret: bytes, watched: WatchedList) -> frozenset[Hash]:
    return frozenset(hash_person(secret, member) for member in watched.members)


def merge_tallies(tallies: Iterable[Tallies | None]) -> Tallies:
    """Return the tallies of merged mailings; lists are counted anew when the next batch arrives."""
    given = [each or {} for each in tallies]
    keys = ("unlisted", "unconsented")
    return {key: sum(each.get(key, 0) for each in given) for key in keys if any(key in each for each in given)}
