"""The exact set of people that a mailing reaches, as keyed hashes. The set only grows.

Only the people of the batch are looked up and only new ones are written: a decision costs what its batch is large,
however large the mailing has become.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Audience, Counts
from gatekeeper.store import removal
from gatekeeper.store.db.hashing import Hash, keyed, keyed_all, read_secret
from gatekeeper.store.db.schema import IS_MASS, mailing_people, mailings
from gatekeeper.store.db.sqlite_bulk import add, is_packed, known_of
from gatekeeper.store.db.statements import BulkInsert, Statement, upsert
from gatekeeper.store.rows import tallied


@immutable
class PersonRow:
    """A person of an audience as the table has them, without the hash."""

    inside: bool
    agency: str | None
    unresolved: bool


@immutable
class PeopleOf:
    """People of one mailing: whether they are reached, and who they are by their hashes."""

    mailing_id: int
    reached: bool
    people: Mapping[Hash, PersonRow]


def hash_person(secret: bytes, name: str) -> Hash:
    """Return the keyed hash of a user or an external."""
    return keyed(secret, f"person {name}")


@lru_cache(maxsize=1_024)
def _inside(agency: str | None) -> PersonRow:
    return PersonRow(True, agency, False)


def hash_people(secret: bytes, audience: Audience) -> dict[Hash, PersonRow]:
    """Return an audience's users and externals by their keyed hashes."""
    unresolved = audience.unresolved
    if not unresolved and not audience.externals and len(audience.users) == 1:  # as most messages are
        ((user, agency),) = audience.users.items()
        return {hash_person(secret, user): _inside(agency)}
    hashed = keyed_all(secret, "person ")
    known = {agency: _inside(agency) for agency in set(audience.users.values())}
    people = {hashed(user): known[agency] for user, agency in audience.users.items()}
    people |= {hashed(user): PersonRow(True, audience.users[user], True) for user in unresolved}
    outside = PersonRow(False, None, False)
    people |= {hashed(external): outside for external in audience.externals}
    return people


def known_among(connection: Connection, mailing_id: int, people: Sequence[Hash]) -> set[Hash]:
    """Return those of the people whom the mailing counts; raise DBAPIError."""
    if is_packed(connection, people):
        return set(known_of(connection, mailing_id, people))
    known: set[Hash] = set()
    for chunk in _chunks(people):
        values = {"mailing_id": mailing_id, **_numbered(chunk)}
        known.update(bytes(row["person"]) for row in _KNOWN[len(values) - 1].rows(connection, values))
    return known


def _chunks(hashes: Sequence[Hash]) -> list[Sequence[Hash]]:
    largest = _SIZES[-1]
    return [hashes[start : start + largest] for start in range(0, len(hashes), largest)]


def _numbered(chunk: Sequence[Hash]) -> dict[str, Hash]:
    """Return the chunk as named values, filled up to a size that a statement was compiled for."""
    size = next(size for size in _SIZES if size >= len(chunk))
    padded = [*chunk, *repeat(chunk[-1], size - len(chunk))]
    return {f"person{number}": hash_ for number, hash_ in enumerate(padded)}


def _among(size: int) -> ColumnElement[bool]:
    table = mailing_people
    names = [bindparam(f"person{number}", type_=table.c.person.type) for number in range(size)]
    return and_(table.c.mailing_id == bindparam("mailing_id"), table.c.person.in_(names))


def _known_statement(size: int) -> Statement:
    return Statement(lambda _: select(mailing_people.c.person).where(_among(size)))


def _reached_statement(size: int) -> Statement:
    unreached = mailing_people.c.reached.is_(False)
    return Statement(lambda _: update(mailing_people).where(_among(size), unreached).values(reached=literal(True)))


_SIZES = (1, 16, 100, 500)  # hashes that are looked up in one statement
_KNOWN = {size: _known_statement(size) for size in _SIZES}
_REACHED = {size: _reached_statement(size) for size in _SIZES}
_by_key = itemgetter(0, 1)
_ADD = BulkInsert(
    lambda _: insert(mailing_people), ["mailing_id", "person", "reached", "inside", "unresolved", "agency"]
)


def grow(counts: Counts, audience: Audience, new: dict[Hash, PersonRow], tallies: Mapping[str, Any]) -> Counts:
    """Return the counts with the new people in them; `tallies` include them already."""
    inside = [person for person in new.values() if person.inside]
    agencies = dict(counts.agencies)
    for person in inside:
        if person.agency is not None:
            agencies[person.agency] = agencies.get(person.agency, 0) + 1
    return Counts(
        users=counts.users + len(inside),
        external=counts.external + len(new) - len(inside),
        agencies=agencies,
        lists=counts.lists | audience.lists,
        unresolved=counts.unresolved + sum(person.unresolved for person in inside),
        **tallied(tallies),
    )


def add_people(connection: Connection, added: Iterable[PeopleOf]) -> None:
    """Write people whom their mailings do not have yet; raise DBAPIError."""
    rows: list[tuple[Any, ...]] = []
    for own in added:
        if is_packed(connection, own.people):
            places = ((hash_, (each.inside, each.unresolved, each.agency)) for hash_, each in own.people.items())
            add(connection, own.mailing_id, places, reached=own.reached)
        else:
            rows += [
                (own.mailing_id, hash_, own.reached, each.inside, each.unresolved, each.agency)
                for hash_, each in own.people.items()
            ]
    _ADD.run(connection, sorted(rows, key=_by_key))  # in the table's order, so that each page is written once


def mark_reached_among(connection: Connection, mailing_id: int, people: Sequence[Hash]) -> int:
    """Note that these people of a mailing are reached; return how many of them nothing had reached before."""
    marked = 0
    for chunk in _chunks(people):
        values = {"mailing_id": mailing_id, **_numbered(chunk)}
        marked += _REACHED[len(values) - 1].run(connection, values)
    return marked


def mark_all_reached(connection: Connection, mailing_id: int) -> None:
    """Note that everybody whom the mailing counts may be reached from now on."""
    query = update(mailing_people).where(mailing_people.c.mailing_id == mailing_id).values(reached=True)
    connection.execute(query)


def mark_reached(connection: Connection, mailing_id: int, addresses: Iterable[str]) -> None:
    """Note that the people of these addresses may be reached from now on.

    Where an address is no person that the mailing counts (a list, an alias), all of its people are noted: the members
    are not known here, and counting somebody too many is the safer error.
    """
    secret = read_secret(connection)
    hashes = sorted({hash_person(secret, normalise(address)) for address in addresses})
    chunks = [_among_these(mailing_id, chunk) for chunk in _chunks(hashes)]
    counting = (select(func.count()).select_from(mailing_people).where(chosen) for chosen in chunks)
    if sum(connection.execute(query).scalar_one() for query in counting) < len(hashes):
        mark_all_reached(connection, mailing_id)
        return
    for chosen in chunks:
        connection.execute(update(mailing_people).where(chosen).values(reached=True))


def _among_these(mailing_id: int, chunk: Sequence[Hash]) -> ColumnElement[bool]:
    return and_(mailing_people.c.mailing_id == mailing_id, mailing_people.c.person.in_(chunk))


def count_reached(connection: Connection, mailing_id: int) -> int:
    """Return how many people the mailing may have reached."""
    query = select(func.count()).where(mailing_people.c.mailing_id == mailing_id, mailing_people.c.reached)
    return int(connection.execute(query).scalar_one())


SAMPLE = 1_000  # people of a mailing who are looked for in others; hashes are in no order that means anything
_OTHERS = 20  # mailings of a week in which they are looked for, the largest


def sample_of(connection: Connection, mailing_id: int) -> list[Hash]:
    """Return people of a mailing: all of them, or so many as are looked for."""
    query = select(mailing_people.c.person).where(mailing_people.c.mailing_id == mailing_id)
    return [bytes(each) for each in connection.execute(query.limit(SAMPLE)).scalars()]


def share_reached(connection: Connection, people: Sequence[Hash], since: float, but: int | None = None) -> float:
    """Return which share of these people other mailings to many have reached since then, the largest of them.

    Args: `but` is the key of their own mailing.
    """
    some = people[:SAMPLE]
    has_left = or_(mailings.c.relayed > 0, mailings.c.state == MailingState.RELEASED)
    others = select(mailings.c.id).where(IS_MASS, mailings.c.started_at >= since, has_left)
    others = others if but is None else others.where(mailings.c.id != but)
    keys = list(connection.execute(others.order_by(mailings.c.users.desc()).limit(_OTHERS)).scalars())
    if not (keys and some):
        return 0.0
    table = mailing_people
    chosen = (table.c.mailing_id.in_(keys), table.c.person.in_(some), table.c.reached)
    known = connection.execute(select(func.count(table.c.person.distinct())).where(*chosen)).scalar_one()
    return int(known) / len(some)


def recount(connection: Connection, mailing_id: int) -> dict[str, Any]:
    """Return the counts of a mailing's row, made anew from its people."""
    table = mailing_people
    query = (
        select(table.c.inside, table.c.agency, func.count(), func.sum(cast(table.c.unresolved, Integer)))
        .where(table.c.mailing_id == mailing_id)
        .group_by(table.c.inside, table.c.agency)
    )
    groups = connection.execute(query).all()
    return {
        "users": sum(number for inside, _, number, _ in groups if inside),
        "external": sum(number for inside, _, number, _ in groups if not inside),
        "unresolved": sum(unresolved for *_, unresolved in groups),
        "agencies": {agency: number for inside, agency, number, _ in groups if inside and agency is not None},
    }


def copy_people(connection: Connection, source: int, target: int, *, only_reached: bool = False) -> None:
    """Add one mailing's people to another's. Whoever was reached by either counts as reached."""
    table = mailing_people
    columns = (table.c.person, table.c.reached, table.c.inside, table.c.unresolved, table.c.agency)
    people = select(literal(target), *columns).where(
        table.c.mailing_id == source, table.c.reached if only_reached else true()
    )
    statement = upsert(connection, table).from_select(
        ["mailing_id", "person", "reached", "inside", "unresolved", "agency"], people
    )
    either = or_(table.c.reached, statement.excluded.reached)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["mailing_id", "person"], set_={"reached": either})
    )


def forget_people(connection: Connection, mailing_id: int) -> None:
    """Remove a mailing's people, after they were copied to another mailing."""
    removal.remove_moved(connection, mailing_people, mailing_id)
