"""A mailing that takes in batches, in memory: its row, whom it counts, and what of both is still to be written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, insert, update

from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Counts
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import mailings
from gatekeeper.store.db.statements import BulkInsert, Row, Statement
from gatekeeper.store.people import PeopleOf, PersonRow, known_among
from gatekeeper.store.rows import counts_of, counts_to_row, mailing_name


def new_row(source: Hash, now: float) -> Row:
    """Return what the row of an empty mailing is made of."""
    return {
        "state": MailingState.OPEN.value,
        "source": source,
        "started_at": now,
        "changed_at": now,
        "users": 0,
        "external": 0,
        "unresolved": 0,
        "relayed": 0,
        "agencies": {},
        "lists": [],
        "tallies": {},
        "reasons": [],
        "joined": {},
        "version": 0,
        "mass": False,
    }


@dataclass(slots=True)
class ActiveMailing:
    """One mailing of a unit of work."""

    id: int
    row: Row  # all of its columns; those of its counts as they were last written
    counts: Counts
    is_new: bool = False  # it has no row in the database yet
    is_grown: bool = False  # its counts are not written yet
    is_changed: bool = False  # nor what a verdict has changed: its state, its number, ...
    counted: dict[Hash, bool] = field(default_factory=dict)  # of people that were looked up: whether it counts them
    counts_others: bool = True  # it may count people who were not looked up
    added: dict[bool, dict[Hash, PersonRow]] = field(default_factory=dict)  # not written yet; under True who is reached

    @classmethod
    def open(cls, id: int, source: Hash, now: float) -> ActiveMailing:
        """Return a mailing of that id that counts nobody yet."""
        row = {**_NEW, "id": id, "source": source, "started_at": now, "changed_at": now}
        return cls(id, row, _NOBODY, is_new=True, counts_others=False)

    @classmethod
    def of(cls, row: Row) -> ActiveMailing:
        """Return the mailing of a row that is in the database."""
        return cls(row["id"], row, counts_of(row))

    @property
    def state(self) -> MailingState:
        return MailingState(self.row["state"])

    @property
    def name(self) -> str | None:
        """The M-17 that people know it by; None while it has no number."""
        return mailing_name(self.row["number"])

    def look_up(self, connection: Connection, people: Collection[Hash]) -> None:
        """Read which of these people it counts already; raise DBAPIError."""
        unknown = [person for person in people if person not in self.counted] if self.counts_others else ()
        if unknown:
            known = known_among(connection, self.id, unknown)
            self.counted |= {person: person in known for person in unknown}

    def find_new(self, connection: Connection, people: dict[Hash, PersonRow]) -> dict[Hash, PersonRow]:
        """Return those of the people whom it does not count yet; raise DBAPIError."""
        self.look_up(connection, people)
        counted = self.counted
        return {hash_: person for hash_, person in people.items() if not counted.get(hash_)} if counted else people

    def grow(self, new: Mapping[Hash, PersonRow], counts: Counts, *, reached: bool) -> None:
        """Count new people of a batch, who are reached by it or wait with it; `counts` have them already."""
        self.counts = counts
        self.counted |= dict.fromkeys(new, True)
        self.added.setdefault(reached, {}).update(new)
        self.is_grown = True

    def take_added(self) -> Iterator[PeopleOf]:
        """Yield the people who are not written yet; they are taken to be written then."""
        for reached, people in self.added.items():
            yield PeopleOf(self.id, reached, people)
        self.added = {}

    def change(self, columns: Row) -> None:
        """Change what a verdict decides: state, number, names, reasons, times."""
        self.row |= columns
        self.is_changed = True


def write_rows(connection: Connection, written: Sequence[ActiveMailing]) -> None:
    """Write the rows of mailings as far as they are new, grown or changed; raise DBAPIError."""
    for each in written:
        each.row |= counts_to_row(each.counts)
    _OPEN.run(connection, [tuple(map(each.row.__getitem__, _OPENED)) for each in written if each.is_new])
    _write(connection, _GROW, _GROWING, (each.row for each in written if each.is_grown and not each.is_new))
    _write(connection, _CHANGE, _CHANGING, (each.row for each in written if each.is_changed))
    for each in written:
        each.is_new = each.is_grown = each.is_changed = False


def _write(connection: Connection, statement: Statement, columns: Sequence[str], rows: Iterable[Row]) -> None:
    if values := [{f"new_{name}": row[name] for name in ("id", *columns)} for row in rows]:
        statement.run_many(connection, values)


def _updating(columns: Sequence[str]) -> Statement:
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=mailings.c[name].type) for name in columns}
    return Statement(lambda _: update(mailings).where(mailings.c.id == bindparam("new_id")).values(values))


_NOBODY = Counts()
_NEW: Row = dict.fromkeys(column.name for column in mailings.c) | new_row(b"", 0.0)
_OPENED = ("id", *new_row(b"", 0.0))
_OPEN = BulkInsert(lambda _: insert(mailings), _OPENED)
# Two statements, because each column that is named has its indexes written again, changed or not.
_GROWING = (
    "changed_at",
    "users",
    "external",
    "unresolved",
    "agencies",
    "lists",
    "tallies",
    "relayed",
    "joined",
    "version",
)
_CHANGING = (
    "number",
    "state",
    "sender",
    "subject",
    "agency",
    "mass",
    "reasons",
    "held_at",
    "reached_before",
    "gather_since",
    "gather_until",
    "gather_leased",
    "refused",
)
_GROW, _CHANGE = _updating(_GROWING), _updating(_CHANGING)
