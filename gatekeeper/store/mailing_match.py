"""Find the mailing of a transaction by its keys, open one where there is none, and merge mailings that turn out to be
one.

A strong key joins across sources; a weak one within its source (a text, with `source: agency`, within the agency). A
weak key never merges two mailings already decided. Merging keeps the stricter state and the union of the people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, RowMapping, delete, func, insert, literal, select, update

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import ACTIVE_MAILINGS, DECIDED, BatchState, MailingState, strictness
from gatekeeper.store.answers import ANSWERABLE, answerable
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.db.hashing import Hash, keyed, lock_name
from gatekeeper.store.db.schema import batches, events, jobs, mailing_keys, mailings, permit_uses, permits
from gatekeeper.store.db.statements import BulkInsert, Row, SelectAmong, Statement, upsert
from gatekeeper.store.events import Event, record
from gatekeeper.store.growth import Growth, digests_of, note_growth
from gatekeeper.store.list_reach import merge_tallies
from gatekeeper.store.people import copy_people, count_reached, forget_people, recount
from gatekeeper.store.rows import mailing_name

STRONG = ("queue", "message")
KINDS = (*STRONG, "subject", "text", "auto")  # the most telling first


@immutable
class ArrivalHashes:
    """An arrival's source, identity and keys, hashed with the database's secret."""

    source: Hash
    identity: Hash
    keys: tuple[tuple[Hash, str], ...]  # with their kinds
    wide: tuple[Hash, ...]  # keys that join across sources

    @property
    def locks(self) -> tuple[int, ...]:
        """The names to lock on Postgres: the source, and every key that may join another source's mailing."""
        return (lock_name(self.source), *(lock_name(key) for key in self.wide))


def hash_arrival(secret: bytes, arrival: Arrival) -> ArrivalHashes:
    """Return the hashes of an arrival's source, identity and keys; weak keys are hashed with the place that they join
    within.

    Weak keys begin with octets that all keys of one source share, so that they lie side by side in the table: the keys
    of one message are written to one page rather than to five. The other 96 bits tell texts apart.
    """
    mailbox = arrival.source.mailbox
    source, identity = keyed(secret, f"source {mailbox}"), keyed(secret, f"batch {arrival.identity}")
    if arrival.separate:
        return ArrivalHashes(source, identity, (), ())
    strong = tuple(_strong(secret, arrival))
    near = source[:_SHARED]
    wide = keyed(secret, f"agency {arrival.agency}")[:_SHARED] if arrival.agency else near
    weak = tuple(
        ((wide if kind == "text" else near) + keyed(secret, f"{_within(arrival, kind)} {key}")[_SHARED:], kind)
        for key in arrival.keys.weak
        if (kind := _kind(key))
    )
    texts = [key for key, kind in weak if kind == "text"] if arrival.agency else []
    return ArrivalHashes(source, identity, strong + weak, (*(key for key, _ in strong), *texts))


_SHARED = 4  # octets


def _strong(secret: bytes, arrival: Arrival) -> Iterator[tuple[Hash, str]]:
    """Yield strong keys; those of the Message-ID begin with what an answer to the message can name (see answers.py).

    Where MAIL FROM is not the source, a second key begins with a hash of both, because reports go to MAIL FROM.
    """
    for key in arrival.keys.strong:
        hashed, kind = keyed(secret, key), _kind(key)
        if kind != "message":
            yield hashed, kind
            continue
        message_id, sender = arrival.facts.message_id or "", normalise(arrival.transaction.sender)
        yield answerable(secret, message_id) + hashed[ANSWERABLE:], kind
        if sender not in ("", arrival.source.mailbox):
            yield answerable(secret, message_id, sender) + hashed[ANSWERABLE:], kind


def _kind(key: str) -> str:
    return key.partition(":")[0]


def _within(arrival: Arrival, kind: str) -> str:
    wide = arrival.agency and kind == "text"
    return f"agency {arrival.agency}" if wide else arrival.source.mailbox


# -- finding -----------------------------------------------------------------------------------------------------


def match_mailing(connection: Connection, arrival: Arrival, hashes: ArrivalHashes) -> tuple[Row | None, str | None]:
    """Return the mailing of an arrival and the kind of key that joined it; (None, None) where no key leads to one."""
    since = (arrival.now - arrival.within).timestamp()
    found = lock_mailings_of_keys(connection, [key for key, _ in hashes.keys], since)
    if not found:
        return None, None
    chosen = min(found, key=_preference)
    others = {row["id"]: row for row in sorted(found, key=_preference, reverse=True) if row["id"] != chosen["id"]}
    merged = [row for row in others.values() if _is_one(chosen, row)]
    for other in merged:
        _merge(connection, chosen["id"], other, arrival.now.timestamp())
    _claim_keys(connection, chosen["id"], hashes, {bytes(row["key"]) for row in found})
    row = dict(_read(connection, chosen["id"])) if merged else chosen
    return row, chosen["kind"]


def lock_mailings_of_keys(connection: Connection, keys: Sequence[Hash], since: float) -> list[Row]:
    """Return a row for each key that leads to a mailing that still takes in batches; on Postgres the mailings are
    locked.

    While we wait for a lock, its holder may merge the mailing or open its successor, and then the key leads elsewhere.
    So keys are looked up again until all mailings that they lead to are locked. No new key can appear meanwhile,
    because making one takes its advisory lock.
    """
    found = mailings_of_keys(connection, keys, since)
    locked: set[int] = set()
    while connection.dialect.name == "postgresql" and (ids := {row["id"] for row in found}) - locked:
        connection.execute(
            select(mailings.c.id).where(mailings.c.id.in_(ids)).order_by(mailings.c.id).with_for_update()
        )
        locked |= ids
        found = mailings_of_keys(connection, keys, since)
    return found


def mailings_of_keys(connection: Connection, keys: Sequence[Hash], since: float) -> list[Row]:
    """Return the rows of mailings begun after `since` that the keys lead to, each with the key and its kind."""
    found = _LEADING.rows(connection, keys) if keys else []
    return [row for row in found if row["state"] in ACTIVE_MAILINGS and row["started_at"] > since]


# Selected by keys alone: with a condition on the state, SQLite scans all mailings once the keys are many.
_LEADING = SelectAmong(
    mailing_keys.c.key,
    lambda among: (
        select(mailings, mailing_keys.c.kind, mailing_keys.c.key)
        .join(mailing_keys, mailing_keys.c.mailing_id == mailings.c.id)
        .where(among)
    ),
)


def _preference(row: Row) -> tuple[int, int, int]:
    """Return the order of preference: the stricter state first, so that nothing that joins a held mailing passes;
    then the older.
    """
    return strictness(MailingState(row["state"])), row["id"], KINDS.index(row["kind"])


def _is_one(chosen: Row, other: Row) -> bool:
    """Return True where two mailings of one arrival may be merged: not, on a weak key alone, where both are decided."""
    by_strong = chosen["kind"] in STRONG and other["kind"] in STRONG
    return by_strong or not (chosen["state"] in DECIDED and other["state"] in DECIDED)


def _read(connection: Connection, mailing_id: int) -> RowMapping:
    return connection.execute(select(mailings).where(mailings.c.id == mailing_id)).mappings().one()


def open_mailing(connection: Connection, row: Row, hashes: ArrivalHashes) -> int:
    """Write a new mailing's row, and point its keys to it; return its id."""
    mailing_id: int = _OPEN.rows(connection, row)[0]["id"]
    _claim_keys(connection, mailing_id, hashes, set())
    return mailing_id


def new_row(source: Hash, now: float) -> dict[str, Any]:
    """Return the row of an empty mailing, in the order of the table's columns."""
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


_OPEN = Statement(lambda _: insert(mailings).returning(mailings.c.id), list(new_row(b"", 0.0)))


def _claim_keys(connection: Connection, mailing_id: int, hashes: ArrivalHashes, taken: set[Hash]) -> None:
    """Point those keys here that lead to no mailing that still takes in batches."""
    point_keys(connection, ((key, mailing_id, kind) for key, kind in hashes.keys if key not in taken))


def point_keys(connection: Connection, leading: Iterable[tuple[Hash, int, str]]) -> None:
    """Let keys lead to mailings: (key, id of the mailing, kind of the key). Raises DBAPIError."""
    if rows := sorted(leading):
        _CLAIM.run(connection, rows)


def _claiming(connection: Connection) -> Insert:
    statement = upsert(connection, mailing_keys)
    claimed: Insert = statement.on_conflict_do_update(
        index_elements=["key"], set_={"mailing_id": statement.excluded.mailing_id}
    )
    return claimed


_CLAIM = BulkInsert(_claiming, ["key", "mailing_id", "kind"])


# -- merging -----------------------------------------------------------------------------------------------------


def _merge(connection: Connection, target: int, other: Row, now: float) -> None:
    """Make the other mailing part of the target, whose state is the stricter."""
    before = _read(connection, target)
    came, had = digests_of(connection, other["id"]), digests_of(connection, target)
    copy_people(connection, other["id"], target)
    forget_people(connection, other["id"])
    _place_behind(connection, other["id"], before["kept"] or 0)
    for table in (mailing_keys, batches, permits, jobs, events):
        connection.execute(update(table).where(table.c.mailing_id == other["id"]).values(mailing_id=target))
    _merge_uses(connection, other["id"], target)
    changes = recount(connection, target) | _union(before, other)
    if before["state"] == MailingState.HELD:
        hold_gathered(connection, target)
        changes["reached_before"] = count_reached(connection, target)
    changes |= _take_number(connection, before, other, target)
    connection.execute(update(mailings).where(mailings.c.id == target).values(**changes))
    record(
        connection,
        Event(now, "merged", mailing_id=target, text=mailing_name(other["number"]) or "a mailing without a number"),
    )
    if before["state"] == MailingState.HELD and came:
        note_growth(connection, before, changes, Growth(len(came), len({*came} - {*had})), now)


def _place_behind(connection: Connection, other: int, kept: int) -> None:
    """Give the batches of a merged mailing places behind those of the target.

    People who have looked at the target have not seen these batches. Batches without a place, stored by an earlier
    version, come first.
    """
    moved = func.coalesce(batches.c.place, 0) + kept + 1
    connection.execute(update(batches).where(batches.c.mailing_id == other).values(place=moved))


def _merge_uses(connection: Connection, other: int, target: int) -> None:
    """Count the permits that either mailing has used as used by the merged one."""
    table = permit_uses
    used = select(table.c.permit_id, literal(target), table.c.claimed_at, table.c.relayed)
    statement = upsert(connection, table).from_select(
        ["permit_id", "mailing_id", "claimed_at", "relayed"], used.where(table.c.mailing_id == other)
    )
    both = {"relayed": table.c.relayed + statement.excluded.relayed}
    connection.execute(statement.on_conflict_do_update(index_elements=["permit_id", "mailing_id"], set_=both))
    connection.execute(delete(table).where(table.c.mailing_id == other))


def _union(mailing: RowMapping, other: Row) -> dict[str, Any]:
    kinds = {kind: mailing["joined"].get(kind, 0) + number for kind, number in other["joined"].items()}
    held = {reason["rule"]: reason for reason in (*other["reasons"], *mailing["reasons"])}
    return {
        "started_at": min(mailing["started_at"], other["started_at"]),
        "relayed": mailing["relayed"] + other["relayed"],
        "lists": sorted({*mailing["lists"], *other["lists"]}),
        "reasons": list(held.values()),
        "tallies": merge_tallies((mailing["tallies"], other["tallies"])),
        "joined": {**mailing["joined"], **kinds},
        "version": mailing["version"] + 1,
        "kept": (mailing["kept"] or 0) + 1 + (other["kept"] or 0),
        "predecessor": mailing["predecessor"] or other["predecessor"],
        "mass": mailing["mass"] or other["mass"],
        "look_again": min(filter(None, (mailing["look_again"], other["look_again"])), default=None),
    }


def _take_number(connection: Connection, mailing: RowMapping, other: Row, target: int) -> dict[str, Any]:
    """Let the other mailing's number lead to the target from now on; it becomes the target's own where that has
    none.
    """
    if mailing["number"] is not None and other["number"] is not None:
        gone = {"merged_into": target, "gather_until": None, "sender": None, "subject": None}
        connection.execute(update(mailings).where(mailings.c.id == other["id"]).values(**gone))
        return {} if mailing["sender"] else {name: other[name] for name in ("sender", "subject", "agency")}
    merged_before = update(mailings).where(mailings.c.merged_into == other["id"])
    connection.execute(merged_before.values(merged_into=target))
    connection.execute(delete(mailings).where(mailings.c.id == other["id"]))
    return {} if other["number"] is None else {name: other[name] for name in ("number", "sender", "subject", "agency")}


def hold_gathered(connection: Connection, mailing_id: int) -> None:
    """Hold the gathered batches of a mailing."""
    gathered = update(batches).where(batches.c.mailing_id == mailing_id, batches.c.state == BatchState.GATHERED)
    connection.execute(gathered.values(state=BatchState.HELD.value))


# -- closing -----------------------------------------------------------------------------------------------------


def open_successor(connection: Connection, mailing_id: int) -> int | None:
    """Open the successor of a closed mailing: it takes over the keys, and knows who was reached. Return its id.

    Returns None where nobody was reached: the keys are removed, and later mail starts afresh.
    """
    if not count_reached(connection, mailing_id):
        connection.execute(delete(mailing_keys).where(mailing_keys.c.mailing_id == mailing_id))
        return None
    closed = _read(connection, mailing_id)
    row = new_row(closed["source"], closed["started_at"]) | {"predecessor": mailing_id, "lists": closed["lists"]}
    row["tallies"] = merge_tallies([closed["tallies"]])
    successor: int = connection.execute(insert(mailings).values(**row).returning(mailings.c.id)).scalar_one()
    copy_people(connection, mailing_id, successor, only_reached=True)
    counts = recount(connection, successor)
    connection.execute(update(mailings).where(mailings.c.id == successor).values(**counts))
    moved = update(mailing_keys).where(mailing_keys.c.mailing_id == mailing_id).values(mailing_id=successor)
    connection.execute(moved)
    return successor
