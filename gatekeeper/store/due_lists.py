"""Find what a list has that is to be destroyed: what is due, that nothing keeps, and that no other open list has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, exists, func, select

from gatekeeper.store import removal
from gatekeeper.store.acts import matter_of
from gatekeeper.store.acts_due import find_acts
from gatekeeper.store.db.schema import batches, disposal_items, disposals, mailings
from gatekeeper.store.disposals import ACTS, CONTENT, LISTED, OPEN, Found
from gatekeeper.store.due import Age, Due, contents_due
from gatekeeper.store.matters_due import CAME, found_matters, matters_due
from gatekeeper.store.matters_kept import kept_matters
from gatekeeper.store.preserved import kept

_AT_ONCE = 500  # mailings or other matters that are looked at together


def _listed(kind: str, key: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that another open list has something."""
    of_open = select(disposals.c.id).where(disposals.c.state.in_(OPEN))
    return exists().where(
        disposal_items.c.mailing_id == key,
        disposal_items.c.kind == kind,
        disposal_items.c.state == LISTED,
        disposal_items.c.disposal_id.in_(of_open),
    )


# -- content ---------------------------------------------------------------------------------------------------------


def contents(connection: Connection, age: Age, *, passed: bool) -> list[Found]:
    """Return the messages that are due, in the order of their mailings."""
    query = contents_due(age, passed=passed).where(~_listed(CONTENT, mailings.c.id)).order_by(mailings.c.number)
    keys = list(connection.execute(query).scalars())
    found: list[Found] = []
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        held = kept(connection, part)
        found += _messages(connection, [key for key in part if key not in held])
    return found


def _messages(connection: Connection, keys: Sequence[int]) -> Iterator[Found]:
    size = func.max(func.coalesce(batches.c.size, 0))
    query = select(batches.c.mailing_id, mailings.c.number, batches.c.body, size)
    query = query.join(mailings, mailings.c.id == batches.c.mailing_id)
    query = query.where(batches.c.mailing_id.in_(keys), batches.c.body != removal.NO_BODY)
    query = query.group_by(batches.c.mailing_id, mailings.c.number, batches.c.body)
    for key, number, body, octets in connection.execute(query.order_by(mailings.c.number, batches.c.body)):
        yield Found(key, number, bytes(body), octets)


# -- matters of the ledger, and certificates -------------------------------------------------------------------------


def matters(connection: Connection, age: Age, *, kinds: Sequence[str]) -> list[Found]:
    """Return the matters that are due, kind by kind."""
    found: list[Found] = []
    for kind in kinds:
        key = matter_of(kind).table.c.id
        keys = list(connection.execute(matters_due(kind, age).where(~_listed(kind, key)).order_by(key)).scalars())
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            held = kept_matters(connection, kind, part)
            found += found_matters(connection, kind, [each for each in part if each not in held])
    return found


def count_matters(connection: Connection, age: Age, *, kinds: Sequence[str]) -> Due:
    """Count the matters that are due."""
    number, times = 0, []
    for kind in kinds:
        query = select(func.count(), func.min(CAME[kind])).where(matter_of(kind).table.c.id.in_(matters_due(kind, age)))
        counted, oldest = connection.execute(query).one()
        number += counted
        times += [oldest] if oldest is not None else []
    return Due(number, oldest=min(times, default=None))


# -- acts ------------------------------------------------------------------------------------------------------------


def acts(connection: Connection, age: Age) -> list[Found]:
    """Return the blocks of acts of which some are due."""
    found = find_acts(connection, age)
    query = select(disposal_items.c.mailing_id).join(disposals, disposals.c.id == disposal_items.c.disposal_id)
    query = query.where(disposal_items.c.kind == ACTS, disposal_items.c.state == LISTED, disposals.c.state.in_(OPEN))
    listed = set(connection.execute(query).scalars()) if found else set()
    return [each for each in found if each.key not in listed]
