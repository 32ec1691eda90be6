"""Hash the keys of an arrival, and find the mailings that keys lead to.

A strong key joins across sources; a weak one within each place of its source. With `source: agency` a text that is the
same by all its fingerprints joins within the agency of that place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, Insert, select

from gatekeeper.address import normalise
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import ACTIVE_MAILINGS
from gatekeeper.model import Place, SentQuery, Source
from gatekeeper.store.answers import ANSWERABLE, answerable
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.db.hashing import Hash, keyed, lock_name
from gatekeeper.store.db.schema import mailing_keys, mailings
from gatekeeper.store.db.statements import BulkInsert, Row, SelectAmong, upsert

STRONG = ("queue", "message")
SHORT = "short"  # what a message of few words is: it joins, but merges nothing
COMMON = "common"  # of a text that several senders share
KINDS = (*STRONG, "subject", "text", "auto", SHORT, COMMON)  # the most telling first
_SHARED = 4  # octets
_CLIENT = "client_users"
_FIRST = "text:0-"  # how the first fingerprint of a text begins


@immutable
class SentKeys:
    """The keys by which an arrival counts."""

    origin: Hash | None = None
    client: Hash | None = None

    def __bool__(self) -> bool:
        return self.origin is not None or self.client is not None

    def __iter__(self) -> Iterator[Hash]:
        yield from (key for key in (self.origin, self.client) if key is not None)

    def of(self, query: SentQuery) -> Hash:
        """Return the key that a query is about."""
        key = self.client if query.field == _CLIENT else self.origin
        assert key is not None  # the query was asked when the keys were made
        return key


@immutable
class ArrivalHashes:
    """An arrival's source, places and keys, hashed with the database's secret."""

    source: Hash  # that of the first place
    keys: tuple[tuple[Hash, str], ...]  # with their kinds
    places: tuple[Hash, ...]
    joining: tuple[Hash, ...]  # those that join across places
    text: Hash | None = None  # subject and text, which mail of other senders may share
    common: Hash | None = None  # the key that leads to the common mailing of that text
    sent: SentKeys = SentKeys()

    @property
    def locks(self) -> tuple[int, ...]:
        """The names to lock on Postgres: places, the text, and every key that may join a mailing of other places."""
        text = () if self.text is None else (self.text,)
        client = () if self.sent.client is None else (self.sent.client,)
        return tuple(map(lock_name, (*self.places, *self.joining, *text, *client)))


Within = tuple[str, Hash]  # the name of a place or an agency, and its hash


def hash_arrival(secret: bytes, arrival: Arrival) -> ArrivalHashes:
    """Return the hashes of an arrival's places and keys. A weak key is hashed with each place within which it joins.

    Weak keys begin with octets that all keys of one place share, so that they lie side by side in the table: the keys
    of one message are written to one page rather than to five. The other 96 bits tell texts apart.
    """
    near = [(place.name, hash_source(secret, place.name)) for place in places_of(arrival.source)]
    places = tuple(hashed for _, hashed in near)
    if arrival.separate:
        return ArrivalHashes(places[0], (), places, ())
    strong = tuple(_strong(secret, arrival))
    weak = tuple(_within(secret, arrival.keys.weak, near))
    texts = tuple(_of_agency(secret, arrival, near)) if arrival.by_agency else ()
    joining = tuple(key for key, _ in (*strong, *texts))
    text = hash_text(secret, arrival.text) if arrival.text else None
    common = keyed(secret, f"common {arrival.text}") if arrival.text else None
    return ArrivalHashes(places[0], strong + weak + texts, places, joining, text, common, _hash_sent(secret, arrival))


def _within(secret: bytes, keys: Iterable[str], places: Sequence[Within]) -> Iterator[tuple[Hash, str]]:
    for key in keys:
        for name, begins in places:
            yield begins[:_SHARED] + keyed(secret, f"{name} {key}")[_SHARED:], _kind(key)


def _of_agency(secret: bytes, arrival: Arrival, near: Sequence[Within]) -> Iterator[tuple[Hash, str]]:
    """Yield what joins a text across the agency of each place: all its fingerprints together.

    By one of them alone too many texts that have nothing in common would meet in an agency (docs/mailings.md).
    """
    wholes: list[list[str]] = []
    for key in arrival.keys.weak:
        if _kind(key) == "text":
            if key.startswith(_FIRST) or not wholes:
                wholes.append([])
            wholes[-1].append(key.partition(":")[2])
    agencies = _agencies(secret, arrival.source, near)
    yield from _within(secret, [f"text:{' '.join(whole)}" for whole in wholes], agencies)


def hash_text(secret: bytes, text: str) -> Hash:
    """Return the key of a subject and text, by which mailings of several senders are counted together."""
    return keyed(secret, f"across {text}")


def places_of(source: Source) -> tuple[Place, ...]:
    """Return the places of a source; that of its mailbox where none were worked out."""
    return source.places or (Place(source.mailbox, agency=source.agency),)


def hash_source(secret: bytes, name: str) -> Hash:
    """Return the hash of a place."""
    return keyed(secret, f"source {name}")


def _agencies(secret: bytes, source: Source, near: Sequence[Within]) -> list[Within]:
    """Return within what texts join with `source: agency`: the agency of each place, the place where it has none.

    What only names somebody of an agency stays apart there too, unless somebody of that agency sends it.
    """
    found: dict[str, Hash] = {}
    for place, (name, hashed) in zip(places_of(source), near, strict=True):
        agency = f"agency {place.agency}"
        if place.agency is None:
            found[name] = hashed
        elif not place.named or agency not in found:
            agency = f"named {agency}" if place.named else agency
            found[agency] = keyed(secret, agency)
    return list(found.items())


def _hash_sent(secret: bytes, arrival: Arrival) -> SentKeys:
    """Return the keys that the rules ask about. Mail that is `separate`, or was released here, counts for nobody."""
    if not arrival.sent or arrival.separate or arrival.returning:
        return SentKeys()
    asked = {query.field for query in arrival.sent}
    origin = keyed(secret, f"sent origin {places_of(arrival.source)[0].name}") if asked - {_CLIENT} else None
    address = arrival.transaction.client.address
    return SentKeys(origin, keyed(secret, f"sent client {address}") if _CLIENT in asked else None)


def _strong(secret: bytes, arrival: Arrival) -> Iterator[tuple[Hash, str]]:
    """Yield strong keys; those of the Message-ID begin with what an answer to the message can name (see answers.py).

    Where answers may go to another address than the source's, a further key begins with a hash of both.
    """
    for key in arrival.keys.strong:
        hashed, kind = keyed(secret, key), _kind(key)
        if kind != "message":
            yield hashed, kind
            continue
        message_id = arrival.facts.message_id or ""
        yield answerable(secret, message_id) + hashed[ANSWERABLE:], kind
        for address in _answered_elsewhere(arrival):
            yield answerable(secret, message_id, address) + hashed[ANSWERABLE:], kind


def _answered_elsewhere(arrival: Arrival) -> Iterator[str]:
    """Yield addresses that answers may go to: reports go to MAIL FROM, some to From.

    Mail of one place joins only mail of the same source, which is found by its address.
    """
    source, sender = arrival.source, normalise(arrival.transaction.sender)
    several = len(source.places) > 1
    if sender and (several or sender != source.mailbox):
        yield sender
    if several and sender != source.mailbox:
        yield source.mailbox


def _kind(key: str) -> str:
    return key.partition(":")[0]


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
