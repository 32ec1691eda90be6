"""Which matters of the ledger may not be destroyed: those of a mailing that is kept, and those in the scope of a hold.

A request, permit or suspension is compared with a hold as a mailing is; what it does not name may be in the scope.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from sqlalchemy import Connection, RowMapping, select, union

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.schema import permit_scopes, permit_uses, permits, requests, suspensions
from gatekeeper.store.matters_due import MAILING, PERMIT, REQUEST, SUSPENSION
from gatekeeper.store.preserved import Hold, Kept, any_kept, compared, holds_in_force, kept


@immutable
class _Facts:
    """What a matter says by which it may be in the scope of a hold."""

    people: frozenset[str]
    agencies: frozenset[str]  # none: it may be of any
    audiences: frozenset[str]  # none: it may have reached any
    words: str  # none: nobody can tell
    begin: float
    end: float

    def fits(self, hold: Hold) -> bool:
        """Return True where the matter is in the scope of a hold, or may be."""
        scope = hold.row
        if not (hold.names_people or scope["agencies"] or scope["audiences"] or scope["subjects"]):
            return False  # it keeps the mailings that it names
        return (
            hold.covers(self.begin, self.end)
            and (not hold.names_people or not self.people.isdisjoint(hold.addresses))
            and _may_meet(self.agencies, scope["agencies"])
            and _may_meet(self.audiences, scope["audiences"])
            and (
                not scope["subjects"]
                or not self.words
                or any(compared(each) in self.words for each in scope["subjects"])
            )
        )


def _may_meet(own: frozenset[str], wanted: Collection[str]) -> bool:
    return not wanted or not own or not own.isdisjoint(wanted)


def kept_matters(connection: Connection, kind: str, keys: Collection[int]) -> Kept:
    """Return which matters of a kind may not be destroyed, and what keeps each; cases and certificates nothing does."""
    if kind == MAILING:
        return kept(connection, keys)
    if kind not in _FACTS or not keys or not any_kept(connection):
        return {}
    found = _by_mailings(connection, kind, keys)
    holds = holds_in_force(connection)
    for key, facts in _FACTS[kind](connection, keys).items():
        for hold in holds:
            if facts.fits(hold) and hold.id not in found.get(key, ()):
                found[key] = (*found.get(key, ()), hold.id)
    return found


def _by_mailings(connection: Connection, kind: str, keys: Collection[int]) -> Kept:
    """Return what keeps the mailings that a matter let pass."""
    if kind == SUSPENSION:
        return {}
    own = permits.c.id if kind == PERMIT else permits.c.request_id
    given = select(own, permits.c.mailing_id).where(own.in_(keys), permits.c.mailing_id.is_not(None))
    used = select(own, permit_uses.c.mailing_id).join(permit_uses, permit_uses.c.permit_id == permits.c.id)
    pairs = connection.execute(union(given, used.where(own.in_(keys)))).all()
    held = kept(connection, {mailing for _, mailing in pairs})
    found: dict[int, dict[str, None]] = {}
    for key, mailing in pairs:
        found.setdefault(key, {}).update(dict.fromkeys(held.get(mailing, ())))
    return {key: tuple(names) for key, names in found.items() if names}


# -- what each kind says ---------------------------------------------------------------------------------------------


def _addresses(names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(name.lower() for name in names if name and "@" in name)


def _agencies(names: Iterable[str]) -> frozenset[str]:
    """Return ids of agencies; none where a group is among the names, whose agencies nobody knows."""
    found = list(names)
    return frozenset() if any(":" in name for name in found) else frozenset(n for n in found if "@" not in n)


def _requests(connection: Connection, keys: Collection[int]) -> dict[int, _Facts]:
    rows = connection.execute(select(requests).where(requests.c.id.in_(keys))).mappings()
    return {row["id"]: _of_request(row) for row in rows}


def _of_request(row: RowMapping) -> _Facts:
    senders = row["senders"]
    return _Facts(
        _addresses([row["requester"], row["decided_by"], *senders]),
        _agencies([row["agency"], *senders]),
        frozenset(row["audiences"]),
        compared(f"{row['subject']} {row['purpose']} {row['reason']}") if row["subject"] else "",
        row["submitted_at"],
        row["changed_at"],
    )


def _permits(connection: Connection, keys: Collection[int]) -> dict[int, _Facts]:
    scopes: dict[int, list[tuple[str, str]]] = {}
    for key, kind, name in connection.execute(select(permit_scopes).where(permit_scopes.c.permit_id.in_(keys))):
        scopes.setdefault(key, []).append((kind, name))
    rows = connection.execute(select(permits).where(permits.c.id.in_(keys))).mappings()
    return {row["id"]: _of_permit(row, scopes.get(row["id"], [])) for row in rows}


def _of_permit(row: RowMapping, scopes: list[tuple[str, str]]) -> _Facts:
    names = [name for kind, name in scopes if kind != "group"]
    return _Facts(
        _addresses([row["given_by"], *names]),
        frozenset() if any(kind != "agency" for kind, _ in scopes) else frozenset(names),
        frozenset([*row["agencies"], *row["lists"]]),
        compared(f"{row['subject']} {row['purpose']} {row['reason']}") if row["subject"] else "",
        min(row["given_at"], row["since"] or row["given_at"]),
        row["until"],
    )


def _suspensions(connection: Connection, keys: Collection[int]) -> dict[int, _Facts]:
    rows = connection.execute(select(suspensions).where(suspensions.c.id.in_(keys))).mappings()
    return {row["id"]: _of_suspension(row) for row in rows}


def _of_suspension(row: RowMapping) -> _Facts:
    agencies = frozenset([row["name"]]) if row["kind"] == "agency" else frozenset()
    people = _addresses([row["name"], row["given_by"]])
    return _Facts(people, agencies, frozenset(), compared(row["reason"]), row["given_at"], row["until"])


_FACTS: Mapping[str, Callable[[Connection, Collection[int]], dict[int, _Facts]]] = {
    REQUEST: _requests,
    PERMIT: _permits,
    SUSPENSION: _suspensions,
}
