"""Verify the ledger, the rules and what is stored of messages against the chain of acts, and against their own digests.

Rows that only the gate writes are not compared: what it did with a message is in the chains of its processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, exists, or_, select

from gatekeeper.lifecycle import UNACKNOWLEDGED, DisposalState
from gatekeeper.store import disposals
from gatekeeper.store.acts import MATTERS, Values, plain, values_of
from gatekeeper.store.audit_chain import octets
from gatekeeper.store.audit_verify import Act, ChainReport, Said, problems_of_frames, verify
from gatekeeper.store.db.schema import (
    batches,
    bodies,
    body_chunks,
    disposal_items,
    events,
    kept_reports,
    mailings,
    modes,
    rulesets,
)
from gatekeeper.store.destroyed import Destroyed, destroyed_matters
from gatekeeper.store.removal import NO_BODY

_NAMES = {events: "event", rulesets: "ruleset", modes: "mode", kept_reports: "kept report"}
_ROWS = {
    events: select(events).where(or_(events.c.by != "", events.c.login != "")).order_by(events.c.id),
    rulesets: select(*(column for column in rulesets.c if column.name != "text")).order_by(rulesets.c.id),
    modes: select(modes).order_by(modes.c.id),
    kept_reports: select(kept_reports).order_by(kept_reports.c.id),
}

_MATTERS = {column: select(matter.table).order_by(matter.table.c.id) for column, matter in MATTERS.items()}
_MATTERS["mailing_id"] = select(mailings.c.id, mailings.c.number, mailings.c.state).where(
    mailings.c.number.is_not(None)
)


def verify_all(
    connection: Connection, on_block: Callable[[int], None] = lambda records: None
) -> tuple[list[ChainReport], list[str]]:
    """Verify all but the octets of messages; return the chains, and what else is not as it was written."""
    found, said = verify(connection, on_block)
    rows = problems_of_rows(connection, said)
    return found, [
        *problems_of_frames(connection),
        *rows,
        *problems_of_batches(connection),
        *problems_of_disposals(connection),
    ]


def problems_of_rows(connection: Connection, said: Said) -> Iterator[str]:
    """Yield what differs between the ledger and the chain of acts: the row, its column, and both values."""
    checking = _Checking(connection, said)
    for table in _ROWS:
        yield from _readable(_NAMES[table], checking.rows_of(table))
    yield from _readable("mailing, request, permit, suspension, case or hold", checking.matters())
    for row in connection.execute(select(rulesets.c.id, rulesets.c.text, rulesets.c.digest).order_by(rulesets.c.id)):
        if sha256(row.text.encode()).hexdigest() != row.digest:
            yield f"ruleset {row.id}: its text is not that of its digest {row.digest[:12]}"


def _readable(name: str, problems: Iterator[str]) -> Iterator[str]:
    """Yield problems, and where a row has what the gate never writes, that."""
    try:
        yield from problems
    except (TypeError, ValueError, KeyError) as error:
        yield f"{name}: a row cannot be read: {error}"


@dataclass(slots=True)
class _Checking:
    connection: Connection
    said: Said
    _names: dict[str, dict[int, str]] = field(default_factory=dict)  # column of events -> key -> such as P-9
    _acted: dict[str, set[int]] = field(default_factory=dict)  # column of events -> keys of what people acted on
    _merged: dict[str, str] = field(default_factory=dict)  # mailing -> the one that it became part of
    _destroyed: Destroyed = field(init=False)

    def __post_init__(self) -> None:
        self._destroyed = destroyed_matters(self.connection)
        for column, matter in MATTERS.items():
            query = select(matter.table.c.id, matter.table.c.number).where(matter.table.c.number.is_not(None))
            rows = self.connection.execute(query)
            self._names[column] = {id: f"{matter.letter}-{number}" for id, number in rows}
            acted = select(events.c[column]).where(or_(events.c.by != "", events.c.login != ""))
            self._acted[column] = set(self.connection.execute(acted).scalars())
        self._follow_merged()

    def _follow_merged(self) -> None:
        """Let acts about a mailing that became part of another be about that."""
        query = select(mailings.c.id, mailings.c.merged_into).where(mailings.c.merged_into.is_not(None))
        names = self._names["mailing_id"]
        into = {id: target for id, target in self.connection.execute(query)}  # noqa: C416 - a result has keys of its own
        for id in into:
            if id in names:
                self._merged[names[id]] = names.get(_end(into, id), "")

    # -- rows of which each has one act ------------------------------------------------------------------------

    def rows_of(self, table: Table) -> Iterator[str]:
        """Yield what differs in a table."""
        name, known = _NAMES[table], {key for kind, key in self.said.rows if kind == table.name}
        number, highest = self.said.gone_rows.get(table.name, (0, 0))
        without = 0
        for row in self.connection.execute(_ROWS[table]).mappings():
            known.discard(row["id"])
            act = self.said.rows.get((table.name, row["id"]))
            if act is not None:
                yield from self._differences(f"{name} {row['id']}{_about(act)}", row, act)
            elif row["id"] > highest:
                yield f"{name} {row['id']}{_about(row)}: it is not in the chain of acts"
            else:
                without += 1
        for key in sorted(known):
            act = self.said.rows[table.name, key]
            if not self._destroyed.explains(act):
                yield f"{name} {key}{_about(act)}: it is gone"
        fewer = table is events and self._destroyed.names  # some of those whose acts have aged out were destroyed
        if without > number or (without < number and not fewer):
            yield f"{name}s: the acts of {number} have aged out, and {without} have none"

    def _differences(self, place: str, row: RowMapping, act: Act) -> Iterator[str]:
        for column, found in row.items():
            if column == "id":
                continue
            is_key = column in MATTERS
            is_now = self._names[column].get(found) if is_key else plain(found)
            was = self._name_in(column, act) if is_key else act.get(column)
            if is_now != was:
                yield f"{place}: {column} is {is_now!r}, and was {was!r}"

    def _name_in(self, column: str, act: Act) -> str | None:
        values = act.get(column)
        if not isinstance(values, dict) or values.get("number") is None:
            return None
        name = f"{MATTERS[column].letter}-{values['number']}"
        return self._merged.get(name, name)

    # -- mailings, requests, permits, suspensions, cases --------------------------------------------------------

    def matters(self) -> Iterator[str]:
        """Yield matters that differ from what the last act about them left."""
        for column, matter in MATTERS.items():
            last = self._last(column)
            for row in self.connection.execute(_MATTERS[column]).mappings():
                was = last.pop(row["number"], None)
                name = f"{matter.letter}-{row['number']}"
                if name in self._destroyed.names:
                    continue
                if was is not None:
                    yield from self._changed(column, name, row, was)
                elif matter.table is not mailings and row["id"] not in self._acted[column]:
                    yield f"{name}: no act gave it"
            yield from (f"{matter.letter}-{number}: it is gone" for number in last)

    def _last(self, column: str) -> dict[int, Values]:
        found = (act[column] for act in self.said.rows.values() if isinstance(act.get(column), dict))
        return {values["number"]: values for values in found if "state" in values}  # of acts before schema 27 it is not

    def _changed(self, column: str, name: str, row: RowMapping, was: Values) -> Iterator[str]:
        values = values_of(self.connection, column, row)
        for key, value in values.items():
            if value != was.get(key):
                yield f"{name}: {key} is {value!r}, and the last act left {was.get(key)!r}"
        if was["state"] in MATTERS[column].final and row["state"] != was["state"]:
            yield f"{name}: it is {row['state']}, and the last act left it {was['state']}"


def _end(into: dict[int, int], id: int) -> int:
    seen = set()
    while id in into and id not in seen:
        seen.add(id)
        id = into[id]
    return id


def _about(row: Any) -> str:
    by = row.get("by") or row.get("login")
    return f" ({row['act']} by {by})" if by and row.get("act") else ""


# -- messages ----------------------------------------------------------------------------------------------------


def stored_bodies(connection: Connection) -> list[bytes]:
    """Return the digests of all bodies that are stored whole."""
    query = select(bodies.c.digest).where(bodies.c.complete).order_by(bodies.c.digest)
    return [bytes(digest) for digest in connection.execute(query).scalars()]


def problem_of_body(connection: Connection, digest: bytes) -> str:
    """Return what is wrong with a stored body; "" where its octets are those of its digest, or it has been removed."""
    query = select(body_chunks.c.data).where(body_chunks.c.digest == digest).order_by(body_chunks.c.position)
    hashed = sha256()
    for data in connection.execute(query.execution_options(yield_per=4)).scalars():
        hashed.update(octets(data))
    if hashed.digest() == digest:
        return ""
    if connection.execute(select(bodies.c.digest).where(bodies.c.digest == digest)).first() is None:
        return ""
    whose = select(mailings.c.number).join(batches, batches.c.mailing_id == mailings.c.id)
    numbers = connection.execute(whose.where(batches.c.body == digest).distinct().order_by(mailings.c.number)).scalars()
    named = ", ".join(f"M-{number}" for number in numbers if number is not None)
    return f"message {digest.hex()[:12]}{f' ({named})' if named else ''}: it is not what came in"


def problems_of_batches(connection: Connection) -> Iterator[str]:
    """Yield mailings with a batch whose message is not there."""
    query = select(mailings.c.number).join(batches, batches.c.mailing_id == mailings.c.id)
    query = query.outerjoin(bodies, (bodies.c.digest == batches.c.body) & bodies.c.complete)
    lacking = (batches.c.state.not_in(UNACKNOWLEDGED), batches.c.body != b"", bodies.c.digest.is_(None))
    for number in connection.execute(query.where(*lacking).distinct().order_by(mailings.c.number)).scalars():
        yield f"M-{number}: a message of it is gone"


# -- what was destroyed by the schedule ----------------------------------------------------------------------------


def problems_of_disposals(connection: Connection) -> Iterator[str]:
    """Yield lists that are not what was proposed, and what is gone or emptied though no list has it."""
    certified = destroyed_matters(connection)
    for disposal in disposals.list_disposals(connection):
        if (
            disposal.disposed is None
            and disposal.digest
            and disposals.listed_digest(connection, disposal) != disposal.digest
        ):
            yield f"{disposal.id}: its list is not the one that was proposed"
    gone = disposal_items.c.state.in_((disposals.DESTROYED, disposals.ELSEWHERE))
    content = disposal_items.c.kind == disposals.CONTENT
    said = exists().where(disposal_items.c.mailing_id == mailings.c.id, content, gone)
    emptied = (batches.c.body == NO_BODY, batches.c.recipients > 0, batches.c.state.not_in(UNACKNOWLEDGED))
    query = select(mailings.c.number).join(batches, batches.c.mailing_id == mailings.c.id).where(*emptied, ~said)
    for number in connection.execute(query.distinct().order_by(mailings.c.number)).scalars():
        yield f"M-{number}: its content is gone, and no certificate says so"

    for matter in MATTERS.values():
        table = matter.table
        lines = select(table.c.number).where(table.c.disposed.is_not(None)).order_by(table.c.number)
        names = {f"{matter.letter}-{number}" for number in connection.execute(lines).scalars()}
        yield from (f"{name}: it is emptied, and no certificate says so" for name in sorted(names - certified.names))


def destroyed(connection: Connection) -> list[str]:
    """Return what was destroyed by the schedule, and what certifies it: a line a disposal."""
    found = []
    for disposal in reversed(disposals.list_disposals(connection, DisposalState.DONE)):
        counts = disposals.count_items(connection, disposal)
        number = counts[disposals.DESTROYED] + counts[disposals.ELSEWHERE]
        what = (
            f"content of {number} messages is" if disposal.is_of_content else f"{number} of class {disposal.name} are"
        )
        if disposal.disposed is not None:
            what = f"its list of class {disposal.name} is destroyed by D-{disposal.disposed}: what it had is"
        found.append(f"{disposal.id}: {what} destroyed; certificate {disposal.certificate}")
    return found
