"""Legal holds (D2, C7): place, release, read. What a hold keeps is worked out in preserved.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, insert, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import PreserveState, advance
from gatekeeper.store.cases import CaseView
from gatekeeper.store.db.hashing import keyed, read_secret
from gatekeeper.store.db.schema import cases, custodians, preserves
from gatekeeper.store.events import Act, Event, record
from gatekeeper.store.mailing_keys import hash_source
from gatekeeper.store.people import hash_person
from gatekeeper.store.preserved import await_removals
from gatekeeper.store.rows import next_number


@immutable
class Scope:
    """What a hold is about: what fits each kind of thing that it names, and the mailings that it names by number."""

    custodians: tuple[str, ...] = ()  # mailboxes: sent by one of them, or received
    agencies: tuple[str, ...] = ()  # whose senders
    audiences: tuple[str, ...] = ()  # lists and agencies that were reached
    subjects: tuple[str, ...] = ()  # words of the subject
    mailings: tuple[int, ...] = ()
    since: float | None = None
    until: float | None = None

    @property
    def names_nothing(self) -> bool:
        """Return True where it would be about everything, or nothing."""
        return not (self.custodians or self.agencies or self.audiences or self.subjects or self.mailings)


@immutable
class Custodian:
    """Somebody whose mail a hold is about: when they were told, reminded, and have acknowledged it."""

    address: str
    told_at: float | None = None
    reminded_at: float | None = None
    acknowledged_at: float | None = None


@immutable
class PreserveView:
    """A hold as people see it."""

    key: int = field(repr=False)
    id: str
    state: PreserveState
    case: str  # such as C-4
    case_kind: str
    reason: str
    scope: Scope
    silent: bool
    placed_by: str
    placed_at: float
    agreed_by: str | None
    released_by: str | None
    released_at: float | None
    custodians: tuple[Custodian, ...] = ()


def place(connection: Connection, case: CaseView, scope: Scope, silent: bool, act: Act) -> int:
    """Place a hold; return its number. It is in force for whatever is destroyed after the commit.

    Who is removing something at this moment is waited for (Postgres; SQLite has one writer).
    """
    await_removals(connection)
    number = next_number(connection, "preserve")
    row = {
        "number": number,
        "state": PreserveState.IN_FORCE.value,
        "case_id": case.key,
        "reason": act.reason,
        **{name: list(getattr(scope, name)) for name in ("agencies", "audiences", "subjects", "mailings")},
        "since": scope.since,
        "until": scope.until,
        "silent": silent,
        "placed_by": act.by,
        "placed_at": act.at,
    }
    key: int = connection.execute(insert(preserves).values(**row).returning(preserves.c.id)).scalar_one()
    _add_custodians(connection, key, scope.custodians)
    note(connection, key, "preserved", act)
    return number


def _add_custodians(connection: Connection, key: int, addresses: Iterable[str]) -> None:
    secret = read_secret(connection)
    rows = [
        {
            "preserve_id": key,
            "address": address,
            "person": hash_person(secret, address),
            "source": hash_source(secret, address),
            "recorded": keyed(secret, address),
        }
        for address in dict.fromkeys(addresses)
    ]
    if rows:
        connection.execute(insert(custodians), rows)


def agree(connection: Connection, hold: PreserveView, act: Act) -> None:
    """Write the first of two signatures of a release; raise LifecycleError where it is released."""
    advance(hold.state, "agree to release")
    signed = {"agreed_by": act.by, "agreed_at": act.at}
    connection.execute(update(preserves).where(preserves.c.id == hold.key).values(**signed))
    note(connection, hold.key, "release signed", act)


def release(connection: Connection, hold: PreserveView, act: Act) -> None:
    """Release a hold; raise LifecycleError where it is released."""
    state = advance(hold.state, "release")
    ended = {"state": state.value, "released_by": act.by, "released_at": act.at}
    connection.execute(update(preserves).where(preserves.c.id == hold.key).values(**ended))
    note(connection, hold.key, "hold released", act)


def note(connection: Connection, key: int, name: str, act: Act) -> None:
    """Write an act about a hold on its timeline."""
    details = act.details or None
    event = Event(act.at, name, by=act.by, login=act.login, text=act.reason or None, preserve_id=key, details=details)
    record(connection, event)


# -- custodians --------------------------------------------------------------------------------------------------


def told(connection: Connection, hold: PreserveView, addresses: Sequence[str], now: float) -> None:
    """Write that custodians were told, or reminded where they had been."""
    for one in hold.custodians:
        if one.address in addresses:
            column = "told_at" if one.told_at is None else "reminded_at"
            mine = (custodians.c.preserve_id == hold.key, custodians.c.address == one.address)
            connection.execute(update(custodians).where(*mine).values(**{column: now}))


def acknowledge(connection: Connection, hold: PreserveView, address: str, act: Act) -> None:
    """Write that a custodian has acknowledged a hold."""
    mine = (custodians.c.preserve_id == hold.key, custodians.c.address == address)
    connection.execute(update(custodians).where(*mine).values(acknowledged_at=act.at))
    note(connection, hold.key, "acknowledged", act)


# -- reading -----------------------------------------------------------------------------------------------------


def list_preserves(connection: Connection, state: str | None = None, most: int | None = None) -> list[PreserveView]:
    """Return holds, newest first; of one state, where named. Args: `most` that are returned; None for all."""
    query = _QUERY.order_by(preserves.c.number.desc()).limit(most)
    return _views(connection, query if state is None else query.where(preserves.c.state == state))


def find_preserve(connection: Connection, number: int, *, lock: bool = False) -> PreserveView | None:
    """Return one hold by its number. Args: `lock` keeps others from releasing it meanwhile."""
    query = _QUERY.where(preserves.c.number == number)
    return next(iter(_views(connection, query.with_for_update(of=preserves) if lock else query)), None)


_QUERY = select(preserves, cases.c.number.label("case_number"), cases.c.kind.label("case_kind")).join(
    cases, cases.c.id == preserves.c.case_id
)


def _views(connection: Connection, query: Select[Any]) -> list[PreserveView]:
    rows = connection.execute(query).mappings().all()
    theirs: dict[int, list[Custodian]] = {row["id"]: [] for row in rows}
    people = select(custodians).where(custodians.c.preserve_id.in_(list(theirs))).order_by(custodians.c.address)
    for one in connection.execute(people).mappings():
        times = one["told_at"], one["reminded_at"], one["acknowledged_at"]
        theirs[one["preserve_id"]].append(Custodian(one["address"], *times))
    return [_view(row, tuple(theirs[row["id"]])) for row in rows]


def _view(row: RowMapping, people: tuple[Custodian, ...]) -> PreserveView:
    return PreserveView(
        key=row["id"],
        id=f"H-{row['number']}",
        state=PreserveState(row["state"]),
        case=f"C-{row['case_number']}",
        case_kind=row["case_kind"],
        reason=row["reason"],
        scope=Scope(
            tuple(one.address for one in people),
            tuple(row["agencies"]),
            tuple(row["audiences"]),
            tuple(row["subjects"]),
            tuple(row["mailings"]),
            row["since"],
            row["until"],
        ),
        silent=row["silent"],
        placed_by=row["placed_by"],
        placed_at=row["placed_at"],
        agreed_by=row["agreed_by"],
        released_by=row["released_by"],
        released_at=row["released_at"],
        custodians=people,
    )
