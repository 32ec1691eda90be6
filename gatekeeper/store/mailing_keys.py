"""Hash the keys of an arrival, and find the mailings that keys lead to.

A strong key joins across sources; a weak one within its source (a text, with `source: agency`, within the agency).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, Insert, select

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import ACTIVE_MAILINGS
from gatekeeper.store.answers import ANSWERABLE, answerable
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.db.hashing import Hash, keyed, lock_name
from gatekeeper.store.db.schema import mailing_keys, mailings
from gatekeeper.store.db.statements import BulkInsert, Row, SelectAmong, upsert

STRONG = ("queue", "message")
KINDS = (*STRONG, "subject", "text", "auto")  # the most telling first
_SHARED = 4  # octets


@immutable
class ArrivalHashes:
    """An arrival's source and keys, hashed with the database's secret."""

    source: Hash
    keys: tuple[tuple[Hash, str], ...]  # with their kinds
    wide: tuple[Hash, ...]  # keys that join across sources

    @property
    def locks(self) -> tuple[int, ...]:
        """The names to lock on Postgres: the source, and every key that may join another source's mailing."""
        return (lock_name(self.source), *(lock_name(key) for key in self.wide))


def hash_arrival(secret: bytes, arrival: Arrival) -> ArrivalHashes:
    """Return the hashes of an arrival's source and keys. A weak key is hashed with the place within which it joins.

    Weak keys begin with octets that all keys of one source share, so that they lie side by side in the table: the keys
    of one message are written to one page rather than to five. The other 96 bits tell texts apart.
    """
    mailbox = arrival.source.mailbox
    source = keyed(secret, f"source {mailbox}")
    if arrival.separate:
        return ArrivalHashes(source, (), ())
    strong = tuple(_strong(secret, arrival))
    near = source[:_SHARED]
    wide = keyed(secret, f"agency {arrival.agency}")[:_SHARED] if arrival.agency else near
    weak = tuple(
        ((wide if kind == "text" else near) + keyed(secret, f"{_within(arrival, kind)} {key}")[_SHARED:], kind)
        for key in arrival.keys.weak
        if (kind := _kind(key))
    )
    texts = [key for key, kind in weak if kind == "text"] if arrival.agency else []
    return ArrivalHashes(source, strong + weak, (*(key for key, _ in strong), *texts))


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


# -- in the table ------------------------------------------------------------------------------------------------


def lock_mailings_of_keys(connection: Connection, keys: Sequence[Hash], since: float) -> list[Row]:
    """Return a row for each key that leads to a mailing that still takes in batches, and lock these on Postgres.

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
    """Return the rows of mailings begun after `since` that the keys lead to, each with the key."""
    found = _LEADING.rows(connection, keys) if keys else []
    return [row for row in found if row["state"] in ACTIVE_MAILINGS and row["started_at"] > since]


def point_keys(connection: Connection, leading: Iterable[tuple[Hash, int, str]]) -> None:
    """Let keys lead to mailings: (key, id of the mailing, kind of the key). Raises DBAPIError."""
    if rows := sorted(leading):
        _POINT.run(connection, rows)


def _pointing(connection: Connection) -> Insert:
    statement = upsert(connection, mailing_keys)
    pointed: Insert = statement.on_conflict_do_update(
        index_elements=["key"], set_={"mailing_id": statement.excluded.mailing_id}
    )
    return pointed


# Selected by keys alone: with a condition on the state, SQLite scans all mailings once the keys are many.
_LEADING = SelectAmong(
    mailing_keys.c.key,
    lambda among: (
        select(mailings, mailing_keys.c.key).join(mailing_keys, mailing_keys.c.mailing_id == mailings.c.id).where(among)
    ),
)
_POINT = BulkInsert(_pointing, ["key", "mailing_id", "kind"])
