"""What a list shows: of which person, state, agency, sender and rule, with which words, and from where on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, Text, cast, false, func, or_, select, true

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import matter_people
from gatekeeper.store.matter_people import OWN

T = TypeVar("T")
MOST_COUNTED = 1_000  # a list that is longer is said to be longer
_NUMBER = re.compile(r"(?:[MRP]-?)?(\d{1,9})", re.IGNORECASE)


@immutable
class Viewer:
    """Somebody who sees a part of what there is: their own, what they were asked about, what agencies of theirs do."""

    address: str
    agencies: tuple[str, ...] | None = ()  # for which they ask; None for all
    also: tuple[int, ...] = ()  # keys of what they are asked about, and were not told yet


@immutable
class Filters:
    """What is looked for; "" and None for anything."""

    states: tuple[str, ...] = ()
    agency: str = ""  # of the sender or requester
    sender: str = ""  # a mailbox
    rule: str = ""
    words: str = ""  # each in the subject or the sender; or a number
    since: float | None = None  # when it last changed, or was given
    mine: str = ""  # whose own it is
    kind: str = ""  # of permits
    review: str = ""  # of permits


@immutable
class Place:
    """Which part of a list: so many rows after one of them, by its number."""

    limit: int = 50
    after: int | None = None  # the number of the last row before it


@immutable
class ListPage(Generic[T]):
    """A part of a list."""

    rows: Sequence[T]
    next: str | None = None  # where the next part begins; None where there is none
    count: int = 0  # of the whole list; MOST_COUNTED + 1 where there are more than that


@immutable
class Part:
    """The rows of a part of a list, whether there are more, and how many the list has, as in ListPage."""

    rows: Sequence[RowMapping]
    is_more: bool
    count: int


def part_of(connection: Connection, table: Table, chosen: Sequence[ColumnElement[bool]], place: Place) -> Part:
    """Return a part of a list of what has numbers, the highest number first."""
    number = table.c.number
    query = select(table).where(*chosen).order_by(number.desc()).limit(place.limit + 1)
    query = query if place.after is None else query.where(number < place.after)
    rows = connection.execute(query).mappings().all()
    is_more = len(rows) > place.limit
    is_all = place.after is None and not is_more
    return Part(rows[: place.limit], is_more, len(rows) if is_all else _count(connection, chosen, number))


def _count(connection: Connection, chosen: Sequence[ColumnElement[bool]], number: ColumnElement[int]) -> int:
    """Return how many rows meet these conditions, up to one more than MOST_COUNTED."""
    some = select(number).where(*chosen).limit(MOST_COUNTED + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def seen_by(viewer: Viewer | None, kind: str, key: ColumnElement[int], agency: ColumnElement[str | None]) -> Any:
    """Return the condition that somebody may see a mailing or a request. Args: `viewer` is None for who sees all."""
    if viewer is None:
        return true()
    theirs = agency.is_not(None) if viewer.agencies is None else agency.in_(viewer.agencies)
    known = key.in_(matter_people.keys_of(kind, viewer.address))
    return or_(known, theirs if viewer.agencies != () else false(), key.in_(viewer.also) if viewer.also else false())


def is_own(kind: str, key: ColumnElement[int], address: str) -> ColumnElement[bool]:
    """Return the condition that a mailing or a request is somebody's own."""
    return key.in_(matter_people.keys_of(kind, address, OWN))


def has_words(words: str, number: ColumnElement[int], *columns: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the conditions that each word is in one of these columns; or that it is the number that is looked for."""
    if named := _NUMBER.fullmatch(words.strip()):
        text = or_(*(_has(column, words.strip()) for column in columns))
        return [or_(number == int(named[1]), text)]
    return [or_(*(_has(column, word) for column in columns)) for word in words.split()]


def _has(column: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    return cast(column, Text).icontains(word, autoescape=True)


def lists(column: ColumnElement[Any], value: str, key: str = "") -> ColumnElement[bool]:
    """Return the condition that a JSON list has this text; where its members are objects, under that key."""
    text = f"{json.dumps(key)}: {json.dumps(value)}" if key else json.dumps(value)
    return cast(column, Text).contains(text, autoescape=True)
