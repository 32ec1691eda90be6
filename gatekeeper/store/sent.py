"""Count whom an origin, or a client, has reached over all its mailings, whatever their subject.

The origin is the first place of a source: the login, else a MAIL FROM inside, else From. The people of its batches are
summed up by the hour: an upper bound that costs a row. Only where the bound passes the least number that a rule names
are the people themselves read, each counted once. What was read then, and what has been added since, is the next bound,
so that a machine that writes to the same few all day is read seldom. Who is beyond all numbers that rules name is read
once an hour. Agencies are read of the mailings, not of the people.

A mailing counts as a whole where anything of it came within the time: of two readings the one that counts more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Connection, Insert, Select, delete, select

from gatekeeper.model import SentQuery
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import mailing_people, mailings, sent_counts, sent_sums, shared_keys
from gatekeeper.store.db.statements import BulkInsert, SelectAmong, upsert
from gatekeeper.store.people import PersonRow

_HOUR = 3600
_KEPT_HOURS = 8 * 24  # a day more than the longest time that a rule may name


@dataclass(slots=True)
class _Known:
    """What is known of one key: its sums by the hour, and what each query found when people were last read."""

    hours: dict[int, int] = field(default_factory=dict)
    reads: dict[SentQuery, tuple[int, int, int]] = field(default_factory=dict)  # hour, sum of that hour, found

    def bound(self, query: SentQuery, now: float) -> int:
        """Return at most what a query would find now."""
        first = int(now - query.within.total_seconds()) // _HOUR
        known = self.reads.get(query)
        if known is None or known[0] < first:
            return sum(people for hour, people in self.hours.items() if hour >= first)
        then, hour_sum, found = known
        return found - hour_sum + sum(added for hour, added in self.hours.items() if hour >= then)


@dataclass(slots=True)
class SentCounts:
    """The sums of a unit of work, in memory."""

    _known: dict[Hash, _Known] = field(default_factory=dict)
    _added: dict[tuple[Hash, int], int] = field(default_factory=dict)  # not written yet
    _read: dict[tuple[Hash, SentQuery], tuple[int, int, int]] = field(default_factory=dict)  # likewise

    def load(self, connection: Connection, keys: Iterable[Hash]) -> None:
        """Read what is known of these keys; raise DBAPIError."""
        wanted = list(dict.fromkeys(keys))
        self._known = {key: _Known() for key in wanted}
        if not wanted:
            return
        for row in _SUMS.rows(connection, wanted):
            self._known[bytes(row["key"])].hours[row["hour"]] = row["people"]
        for row in _COUNTS.rows(connection, wanted):
            read = row["hour"], row["hour_sum"], row["found"]
            self._known[bytes(row["key"])].reads[_query(row["query"])] = read

    def add(self, keys: Iterable[Hash], people: int, now: float) -> None:
        """Add the people of a batch."""
        hour = int(now) // _HOUR
        for key in keys:
            hours = self._known[key].hours
            hours[hour] = hours.get(hour, 0) + people
            self._added[key, hour] = self._added.get((key, hour), 0) + people

    def bound(self, key: Hash, query: SentQuery, now: float) -> int:
        """Return at most what the query finds of a key."""
        return self._known[key].bound(query, now)

    def found_lately(self, key: Hash, query: SentQuery, now: float) -> int | None:
        """Return what a query found of a key when people were read last; None where that was not in this hour."""
        hour, _, found = self._known[key].reads.get(query, (None, 0, 0))
        return found if hour == int(now) // _HOUR else None

    def remember(self, key: Hash, query: SentQuery, found: int, now: float) -> None:
        """Note what a query found when people were read."""
        hour = int(now) // _HOUR
        read = hour, self._known[key].hours.get(hour, 0), found
        self._known[key].reads[query] = self._read[key, query] = read

    def write(self, connection: Connection) -> None:
        """Write what has been added; raise DBAPIError."""
        if self._added:
            _ADD.run(connection, sorted((key, hour, people) for (key, hour), people in self._added.items()))
        if self._read:
            _NOTE.run(connection, sorted((key, _text(query), *read) for (key, query), read in self._read.items()))
        self._added, self._read = {}, {}


def _text(query: SentQuery) -> str:
    return f"{query.field} {int(query.within.total_seconds())}"


def _query(text: str) -> SentQuery:
    field, seconds = text.split()
    return SentQuery(field, timedelta(seconds=int(seconds)))


def read_people(connection: Connection, key: Hash, since: float) -> dict[Hash, PersonRow]:
    """Return the different people of all mailings of a key of which anything came after `since`; raise DBAPIError."""
    table = mailing_people
    query = select(table.c.person, table.c.inside, table.c.agency, table.c.unresolved)
    rows = connection.execute(query.where(table.c.mailing_id.in_(_of_key(key, since, mailings.c.id))))
    return {bytes(person): PersonRow(inside, agency, unresolved) for person, inside, agency, unresolved in rows}


def read_agencies(connection: Connection, key: Hash, since: float) -> set[str]:
    """Return the agencies of these people, by what is counted of their mailings; raise DBAPIError."""
    tallies = connection.execute(_of_key(key, since, mailings.c.agencies)).scalars()
    return {agency for tally in tallies for agency in tally}


def _of_key(key: Hash, since: float, column: Column[Any]) -> Select[Any]:
    query = select(column).join(shared_keys, shared_keys.c.mailing_id == mailings.c.id)
    return query.where(shared_keys.c.key == key, mailings.c.changed_at > since)


def answer(query: SentQuery, people: Mapping[Hash, PersonRow]) -> int:
    """Return the number that a query about people asks for, of these."""
    if query.field == "sender_people":
        return len(people)
    return sum(person.inside for person in people.values())


def forget_sums(connection: Connection, now: float) -> None:
    """Remove sums of hours that no rule can ask about any more, and counts that were read then; raise DBAPIError."""
    before = int(now) // _HOUR - _KEPT_HOURS
    connection.execute(delete(sent_sums).where(sent_sums.c.hour < before))
    connection.execute(delete(sent_counts).where(sent_counts.c.hour < before))


_SUMS = SelectAmong(sent_sums.c.key, lambda among: select(sent_sums).where(among))
_COUNTS = SelectAmong(sent_counts.c.key, lambda among: select(sent_counts).where(among))


def _adding(connection: Connection) -> Insert:
    statement = upsert(connection, sent_sums)
    added = {"people": sent_sums.c.people + statement.excluded.people}
    adding: Insert = statement.on_conflict_do_update(index_elements=["key", "hour"], set_=added)
    return adding


def _noting(connection: Connection) -> Insert:
    statement = upsert(connection, sent_counts)
    names = ("hour", "hour_sum", "found")
    noted = {name: statement.excluded[name] for name in names}
    noting: Insert = statement.on_conflict_do_update(index_elements=["key", "query"], set_=noted)
    return noting


_ADD = BulkInsert(_adding, ["key", "hour", "people"])
_NOTE = BulkInsert(_noting, ["key", "query", "hour", "hour_sum", "found"])
