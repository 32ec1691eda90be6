"""What may not be destroyed: mailings in the scope of a hold in force, and those that belong to an open case.

What is removed is removed in removal.py, which asks here. A hold is worked out each time, so that it is in force for
what comes later, too. Where a mailing may be in the scope and nobody can tell, it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, false, func, or_, select, text

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.plain_letters import plain_letters
from gatekeeper.lifecycle import CaseState, PreserveState
from gatekeeper.store.db.schema import (
    batch_recipients,
    batches,
    case_items,
    cases,
    custodians,
    mailing_people,
    mailings,
    preserves,
)
from gatekeeper.store.db.schema import matter_people as matter_rows
from gatekeeper.store.matter_people import MAILING, OWN

_LOCK = 0x686F6C64  # an advisory lock of Postgres: removals share it, whoever places a hold has it alone
_CHUNK = 400  # keys in one statement
Kept = dict[int, tuple[str, ...]]  # key of a mailing -> what keeps it, such as H-2 and C-4


def begin_removal(connection: Connection) -> None:
    """Take turns with whoever places a hold: what holds keep is read after this."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LOCK})


def await_removals(connection: Connection) -> None:
    """Wait for removals that have not been committed; those after this transaction know of it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


@immutable
class Hold:
    """A hold in force, as it is compared with mailings."""

    key: int
    id: str
    row: RowMapping
    addresses: frozenset[str]
    persons: frozenset[bytes]
    sources: frozenset[bytes]
    recorded: frozenset[bytes] = frozenset()
    mailings: frozenset[int] = frozenset()  # keys of those that it names, or of what they have become part of

    @property
    def names_people(self) -> bool:
        """Return True where it is about the mail of somebody."""
        return bool(self.addresses)

    @property
    def recorded_names(self) -> frozenset[str]:
        """Return its custodians as recorded decisions name the sender."""
        return frozenset(name[:8].hex() for name in self.recorded)

    def covers(self, begin: float, end: float) -> bool:
        """Return True where something of that time may be of its time."""
        since, until = self.row["since"], self.row["until"]
        return (since is None or end >= since) and (until is None or begin <= until)


def holds_in_force(connection: Connection) -> list[Hold]:
    """Return the holds in force."""
    query = select(preserves).where(preserves.c.state == PreserveState.IN_FORCE).order_by(preserves.c.number)
    rows = connection.execute(query).mappings().all()
    if not rows:
        return []
    people: dict[int, list[RowMapping]] = {row["id"]: [] for row in rows}
    for one in connection.execute(select(custodians).where(custodians.c.preserve_id.in_(list(people)))).mappings():
        people[one["preserve_id"]].append(one)
    return [_hold(connection, row, people[row["id"]]) for row in rows]


def _hold(connection: Connection, row: RowMapping, people: Sequence[RowMapping]) -> Hold:
    hashes = {name: frozenset(bytes(one[name]) for one in people) for name in ("person", "source", "recorded")}
    return Hold(
        key=row["id"],
        id=f"H-{row['number']}",
        row=row,
        addresses=frozenset(one["address"] for one in people),
        persons=hashes["person"],
        sources=hashes["source"],
        recorded=hashes["recorded"],
        mailings=_named(connection, row["mailings"]),
    )


def _named(connection: Connection, numbers: Sequence[int]) -> frozenset[int]:
    """Return the keys of mailings by their numbers; of one that has become part of another, that one's too."""
    found: set[int] = set()
    query = select(mailings.c.id, mailings.c.merged_into)
    rows = connection.execute(query.where(mailings.c.number.in_(numbers))).all() if numbers else []
    while rows:
        found.update(row.id for row in rows)
        into = {row.merged_into for row in rows if row.merged_into is not None} - found
        rows = connection.execute(query.where(mailings.c.id.in_(into))).all() if into else []
    return frozenset(found)


def any_kept(connection: Connection) -> bool:
    """Return True where a hold is in force, or something belongs to an open case."""
    held = exists().where(preserves.c.state == PreserveState.IN_FORCE)
    return bool(connection.execute(select(or_(held, _in_open_case(case_items.c.mailing_id)))).scalar())


def state(connection: Connection) -> str:
    """Return a name for all that is preserved now, by what people said: it changes with it."""
    holds = select(preserves.c.number).where(preserves.c.state == PreserveState.IN_FORCE).order_by(preserves.c.number)
    items = select(func.count()).select_from(case_items).join(cases, cases.c.id == case_items.c.case_id)
    number = connection.execute(items.where(cases.c.state == CaseState.OPEN)).scalar_one()
    return f"{list(connection.execute(holds).scalars())} {number}"


def _in_open_case(key: ColumnElement[int]) -> ColumnElement[bool]:
    return exists().where(
        case_items.c.mailing_id == key, cases.c.id == case_items.c.case_id, cases.c.state == CaseState.OPEN
    )


def kept(connection: Connection, keys: Collection[int]) -> Kept:
    """Return which of the mailings may not be destroyed, and what keeps each."""
    found: dict[int, list[str]] = {}
    if keys and any_kept(connection):
        holds, ordered = holds_in_force(connection), sorted(keys)
        for start in range(0, len(ordered), _CHUNK):
            _add_kept(connection, holds, ordered[start : start + _CHUNK], found)
    return {key: tuple(names) for key, names in found.items()}


def _add_kept(connection: Connection, holds: list[Hold], keys: list[int], found: dict[int, list[str]]) -> None:
    rows = connection.execute(select(*_FACTS).where(mailings.c.id.in_(keys))).mappings().all()
    for hold in holds:
        theirs = _of_people(connection, hold, keys) if hold.names_people else None
        for row in rows:
            if _is_in(hold, row, theirs):
                found.setdefault(row["id"], []).append(hold.id)
    items = select(case_items.c.mailing_id, cases.c.number).join(cases, cases.c.id == case_items.c.case_id)
    items = items.where(case_items.c.mailing_id.in_(keys), cases.c.state == CaseState.OPEN)
    for key, number in connection.execute(items.order_by(cases.c.number)):
        found.setdefault(key, []).append(f"C-{number}")


_FACTS = tuple(
    mailings.c[name]
    for name in ("id", "number", "source", "subject", "agency", "agencies", "lists", "started_at", "changed_at")
)


def _is_in(hold: Hold, row: RowMapping, theirs: frozenset[int] | None) -> bool:
    """Return True where a mailing is in the scope of a hold.

    Args: `theirs` are mailings of its custodians; None where it names none. Of ordinary mail neither subject nor agency
    is known: it is in the scope by its people and its time alone.
    """
    scope, number = hold.row, row["number"]
    if row["id"] in hold.mailings:
        return True
    names = scope["agencies"] or scope["audiences"] or scope["subjects"]
    if theirs is None and (not names or number is None):
        return False
    if not hold.covers(row["started_at"], row["changed_at"]):
        return False
    if theirs is not None and row["id"] not in theirs:
        return False
    return number is None or _fits(scope, row)


def _fits(scope: RowMapping, row: RowMapping) -> bool:
    reached = {*row["agencies"], *row["lists"]}
    subject = row["subject"]
    words = compared(subject) if isinstance(subject, str) else None  # None: nobody can tell any more
    return (
        (not scope["agencies"] or row["agency"] in scope["agencies"])
        and (not scope["audiences"] or not reached.isdisjoint(scope["audiences"]))
        and (not scope["subjects"] or words is None or any(compared(each) in words for each in scope["subjects"]))
    )


def compared(text: str) -> str:
    """Return a text as the words of a hold are looked for in it."""
    return " ".join(plain_letters(text).split())


def ordinary_kept(connection: Connection) -> ColumnElement[bool]:
    """Return the condition that mail without a number is kept, by its people and time: only hashes are there."""
    return or_(false(), *(_keeps_ordinary(hold) for hold in holds_in_force(connection) if hold.names_people))


def _keeps_ordinary(hold: Hold) -> ColumnElement[bool]:
    since, until = hold.row["since"], hold.row["until"]
    received = exists().where(mailing_people.c.mailing_id == mailings.c.id, mailing_people.c.person.in_(hold.persons))
    times = [] if since is None else [mailings.c.changed_at >= since]
    times += [] if until is None else [mailings.c.started_at <= until]
    return and_(or_(mailings.c.source.in_(hold.sources), received), *times)


def _of_people(connection: Connection, hold: Hold, keys: list[int]) -> frozenset[int]:
    """Return those of the mailings that a custodian has sent or received."""
    own = matter_rows
    received = exists().where(mailing_people.c.mailing_id == mailings.c.id, mailing_people.c.person.in_(hold.persons))
    lower = func.lower(batch_recipients.c.address).in_(hold.addresses)
    of_batch = batches.c.mailing_id == mailings.c.id
    addressed = exists().where(of_batch, batch_recipients.c.batch_id == batches.c.id, lower)
    by_name = or_(func.lower(batches.c.sender).in_(hold.addresses), func.lower(batches.c.login).in_(hold.addresses))
    sent = exists().where(of_batch, by_name)
    owned = exists().where(
        own.c.kind == MAILING, own.c.role == OWN, own.c.matter_id == mailings.c.id, own.c.address.in_(hold.addresses)
    )
    named = or_(mailings.c.sender.in_(hold.addresses), mailings.c.source.in_(hold.sources))
    query = select(mailings.c.id).where(mailings.c.id.in_(keys), or_(named, owned, sent, received, addressed))
    return frozenset(connection.execute(query).scalars())


# -- what a hold keeps now ---------------------------------------------------------------------------------------


@immutable
class Counted:
    """How many mailings with a number a hold keeps, how many of them have content, and the first of them."""

    mailings: int = 0
    with_content: int = 0
    first: tuple[str, ...] = ()  # such as M-17


_NAMED = 20


def count_kept(connection: Connection, key: int) -> Counted:
    """Count the mailings with a number that a hold in force keeps. Args: `key` of the hold."""
    hold = next((each for each in holds_in_force(connection) if each.key == key), None)
    if hold is None:
        return Counted()
    keys = list(connection.execute(select(mailings.c.id).where(*_NUMBERED).order_by(mailings.c.number)).scalars())
    found: dict[int, list[str]] = {}
    for start in range(0, len(keys), _CHUNK):
        _add_kept(connection, [hold], keys[start : start + _CHUNK], found)
    mine = [each for each in keys if hold.id in found.get(each, ())]
    return Counted(len(mine), _with_content(connection, mine), _names(connection, mine[:_NAMED]))


_NUMBERED = (mailings.c.number.is_not(None), mailings.c.merged_into.is_(None))


def _with_content(connection: Connection, keys: list[int]) -> int:
    number = 0
    for start in range(0, len(keys), _CHUNK):
        query = select(func.count(batches.c.mailing_id.distinct()))
        query = query.where(batches.c.mailing_id.in_(keys[start : start + _CHUNK]), batches.c.body != b"")
        number += connection.execute(query).scalar_one()
    return number


def _names(connection: Connection, keys: list[int]) -> tuple[str, ...]:
    query = select(mailings.c.number).where(mailings.c.id.in_(keys)).order_by(mailings.c.number)
    return tuple(f"M-{number}" for number in connection.execute(query).scalars())
