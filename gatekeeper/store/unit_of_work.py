"""What the arrivals of one commit lead to: read at once, changed in memory, written together in few statements.

Most messages are of mailings that nobody asks about, and a statement costs more than all else of their decision. What
must be done in the database at once (a merge, a hold, the claim of a permit) comes after `write`, so that the database
never knows less than the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy import Connection, literal_column, select

from gatekeeper.lifecycle import DECIDED, KEPT_BATCHES
from gatekeeper.store.active_mailing import ActiveMailing, write_rows
from gatekeeper.store.arrival import Arrival, Judge, KeptAs, body_digest
from gatekeeper.store.db.hashing import Hash, keyed
from gatekeeper.store.db.schema import batches, mailings, shared_keys
from gatekeeper.store.db.statements import BulkInsert, SelectAmong, Statement, driver_rows, savepoint, upsert
from gatekeeper.store.kept import NO_LIMITS, KeepLimits, origin_of
from gatekeeper.store.mailing_keys import ArrivalHashes, lock_mailings_of_keys, point_keys
from gatekeeper.store.people import PersonRow, add_people, hash_people
from gatekeeper.store.sent import SentCounts


@dataclass(slots=True)
class PendingDecision:
    """One arrival that waits to be decided."""

    arrival: Arrival
    hashes: ArrivalHashes
    judge: Judge
    now: float = field(init=False)
    since: float = field(init=False)  # when a mailing that its keys join may have begun at the earliest
    people: dict[Hash, PersonRow] = field(default_factory=dict)  # of its audience, once a unit of work has read it
    identity: Hash | None = None  # of its batch, once a unit of work needed it
    named: KeptAs | None = None  # likewise

    def __post_init__(self) -> None:
        self.now = self.arrival.now.timestamp()
        self.since = self.now - self.arrival.within.total_seconds()


@dataclass(slots=True)
class UnitOfWork:
    """The mailings and kept batches that arrivals of one transaction of the database lead to."""

    connection: Connection
    secret: bytes
    limits: KeepLimits = NO_LIMITS
    _kept: set[Hash] = field(default_factory=set)  # identities of batches that are kept
    _leads: dict[Hash, ActiveMailing] = field(default_factory=dict)  # key -> the mailing that takes in its batches
    _changed: dict[int, ActiveMailing] = field(default_factory=dict)  # by id: something of it is not written yet
    _pointed: dict[Hash, tuple[int, str]] = field(default_factory=dict)  # keys whose lead is not written yet: id, kind
    _sharing: dict[Hash, set[int]] = field(default_factory=dict)  # text -> ids of the mailings that have it
    _people: dict[int, int] = field(default_factory=dict)  # id of such a mailing -> how many people it counts
    _shared: set[tuple[Hash, int]] = field(default_factory=set)  # shared keys and ids that are not written yet
    sent: SentCounts = field(default_factory=SentCounts)
    _ids: Iterator[int] = field(default_factory=lambda: iter(()))  # for new mailings
    _most: int = 0  # mailings that may still be opened: one by each arrival
    _is_read: bool = False
    _has_savepoint: bool = False

    # -- read ----------------------------------------------------------------------------------------------------

    def read(self, pending: Sequence[PendingDecision]) -> None:
        """Read what these lead to, unless it was read with an earlier arrival and is still right; raise DBAPIError."""
        if self._is_read:
            return
        self._most = len(pending)
        self._kept = self._read_kept(pending)
        self._leads = self._read_leads(pending)
        self._read_texts(pending)
        self.sent.load(self.connection, (key for each in pending for key in each.hashes.sent))
        for each in pending:
            each.people = each.people or hash_people(self.secret, each.arrival.audience)
        self._look_up_people(pending)
        self._is_read = True

    def _read_kept(self, pending: Sequence[PendingDecision]) -> set[Hash]:
        """Return the identities among these of which a batch is kept. Where nothing is kept, none is worked out."""
        if not _ANY.rows(self.connection, {}):
            return set()
        rows = _KEPT.rows(self.connection, list(map(self.identity_of, pending)))
        return {bytes(row["identity"]) for row in rows if row["state"] in KEPT_BATCHES}

    def _read_leads(self, pending: Sequence[PendingDecision]) -> dict[Hash, ActiveMailing]:
        """Return each key that leads to a mailing; one mailing is one value, however many keys lead to it."""
        keys = list({key: None for each in pending for key in _leading(each.hashes)})
        known: dict[int, ActiveMailing] = {}
        leads = {}
        for row in lock_mailings_of_keys(self.connection, keys, min(each.since for each in pending)):
            key = bytes(row.pop("key"))
            leads[key] = known.setdefault(row["id"], ActiveMailing.of(row))
        return leads

    def _read_texts(self, pending: Sequence[PendingDecision]) -> None:
        """Read which mailings share the arrivals' texts, and how many people each of them counts."""
        self._sharing = {each.hashes.text: set() for each in pending if each.hashes.text is not None}
        self._people = {}
        since = min(each.since for each in pending)
        for row in _SHARING.rows(self.connection, list(self._sharing)) if self._sharing else ():
            if row["started_at"] > since:
                self._sharing[bytes(row["key"])].add(row["mailing_id"])
                self._people[row["mailing_id"]] = row["users"] + row["external"]

    def _look_up_people(self, pending: Sequence[PendingDecision]) -> None:
        people: dict[int, set[Hash]] = {}
        found: dict[int, ActiveMailing] = {}
        for each in pending if self._leads else ():
            for mailing, _ in self.led_to(each).values():
                found[mailing.id] = mailing
                people.setdefault(mailing.id, set()).update(each.people)
        for id, mailing in found.items():
            mailing.look_up(self.connection, people[id])

    # -- find ----------------------------------------------------------------------------------------------------

    def is_kept(self, pending: PendingDecision) -> bool:
        """Return True where a batch of the same identity is kept, or was kept and sent."""
        return bool(self._kept) and self.identity_of(pending) in self._kept

    def identity_of(self, pending: PendingDecision) -> Hash:
        """Return the hash of what a resend of the arrival would have in common with it."""
        if pending.identity is None:
            pending.identity = keyed(self.secret, f"batch {pending.arrival.identity()}")
        return pending.identity

    def kept_as(self, pending: PendingDecision) -> KeptAs:
        """Return the names by which the batch of an arrival is kept."""
        if pending.named is None:
            arrival = pending.arrival
            origin = origin_of(self.secret, arrival)
            pending.named = KeptAs(self.identity_of(pending), origin, body_digest(arrival))
        return pending.named

    def led_to(self, pending: PendingDecision) -> dict[Hash, tuple[ActiveMailing, str]]:
        """Return those keys of an arrival that lead to a mailing young enough to be joined, and their kinds."""
        leads, since = self._leads, pending.since
        return {
            key: (mailing, kind)
            for key, kind in pending.hashes.keys
            if (mailing := leads.get(key)) is not None and mailing.row["started_at"] > since
        }

    def common_of(self, pending: PendingDecision) -> ActiveMailing | None:
        """Return the common mailing of the arrival's text that still decides about it; None where there is none."""
        mailing = self._leads.get(pending.hashes.common) if pending.hashes.common is not None else None
        stands = mailing is not None and mailing.state in DECIDED and mailing.row["started_at"] > pending.since
        return mailing if stands else None

    def people_across(self, pending: PendingDecision, but: ActiveMailing) -> list[int]:
        """Return how many people each other mailing counts that shares the arrival's text."""
        sharing = self._sharing[pending.hashes.text] if pending.hashes.text is not None else ()
        return [self._people[id] for id in sharing if id != but.id]

    def open_mailing(self, pending: PendingDecision) -> ActiveMailing:
        """Return a new mailing for an arrival; the unit has it once it is noted."""
        id = next(self._ids, None)
        if id is None:
            self._ids = _free_ids(self.connection, self._most)
            id = next(self._ids)
        return ActiveMailing.open(id, pending.hashes.source, pending.now)

    def open_common(self, pending: PendingDecision) -> ActiveMailing:
        """Return a new common mailing for the arrival's text, which leads to it from now on."""
        assert pending.hashes.common is not None  # else it counts with nobody's
        mailing = self.open_mailing(pending)
        self.note(mailing, {pending.hashes.common: "common"})
        return mailing

    # -- change --------------------------------------------------------------------------------------------------

    def note(self, mailing: ActiveMailing, keys: Mapping[Hash, str]) -> None:
        """Note that a mailing is new, grown or changed; `keys`, with their kinds, lead to it from now on."""
        self._changed[mailing.id] = mailing
        if mailing.id in self._people:
            self._people[mailing.id] = mailing.counts.people
        for key, kind in keys.items():
            self._leads[key] = mailing
            self._pointed[key] = mailing.id, kind

    def note_text(self, mailing: ActiveMailing, pending: PendingDecision) -> None:
        """Note that a mailing has an arrival of this text."""
        if pending.hashes.text is None:
            return
        sharing = self._sharing[pending.hashes.text]
        if mailing.id not in sharing:
            sharing.add(mailing.id)
            self._shared.add((pending.hashes.text, mailing.id))
        self._people[mailing.id] = mailing.counts.people

    def note_sent(self, mailing: ActiveMailing, pending: PendingDecision) -> None:
        """Note that the arrival's origin and client reach its people by this mailing."""
        self._shared.update((key, mailing.id) for key in pending.hashes.sent)
        self.sent.add(pending.hashes.sent, len(pending.people), pending.now)

    def add_kept(self, pending: PendingDecision) -> None:
        """Note that the batch of an arrival is kept from now on."""
        self._kept.add(self.identity_of(pending))

    def write(self) -> None:
        """Write all that has changed in memory; raise DBAPIError."""
        changed = list(self._changed.values())
        if not changed:
            return
        write_rows(self.connection, changed)
        point_keys(self.connection, ((key, id, kind) for key, (id, kind) in self._pointed.items()))
        add_people(self.connection, (people for each in changed for people in each.take_added()))
        _ADD_SHARED.run(self.connection, sorted(self._shared))
        self.sent.write(self.connection)
        self._changed, self._pointed, self._shared = {}, {}, set()

    # -- what is done in the database before the verdict is known ------------------------------------------------

    def begin_merge(self) -> None:
        """Write all that has changed, and begin what a refusal or a fault of the judge takes back."""
        self.write()
        if not self._has_savepoint:
            savepoint(self.connection, "SAVEPOINT merging")
            self._has_savepoint = True

    def take_back(self) -> None:
        """Take back what was merged for an arrival that is refused."""
        if self._has_savepoint:
            savepoint(self.connection, "ROLLBACK TO SAVEPOINT merging")
            self._forget()

    def keep_merged(self) -> None:
        """Keep what was merged for an arrival."""
        if self._has_savepoint:
            self.write()
            self._forget()

    def _forget(self) -> None:
        """Read everything anew for the next arrival: merging changes rows in the database alone."""
        savepoint(self.connection, "RELEASE SAVEPOINT merging")
        self._has_savepoint = self._is_read = False
        self._changed, self._pointed, self._shared, self._ids = {}, {}, set(), iter(())
        self.sent = SentCounts()


def _leading(hashes: ArrivalHashes) -> Iterator[Hash]:
    yield from (key for key, _ in hashes.keys)
    if hashes.common is not None:
        yield hashes.common


_SHARING = SelectAmong(
    shared_keys.c.key,
    lambda among: (
        select(
            shared_keys.c.key,
            shared_keys.c.mailing_id,
            mailings.c.started_at,
            mailings.c.users,
            mailings.c.external,
        )
        .join(mailings, mailings.c.id == shared_keys.c.mailing_id)
        .where(among)
    ),
)
_ADD_SHARED = BulkInsert(
    lambda connection: upsert(connection, shared_keys).on_conflict_do_nothing(), ["key", "mailing_id"]
)
_ANY = Statement(lambda _: select(literal_column("1").label("found")).select_from(batches).limit(literal_column("1")))
_KEPT = SelectAmong(batches.c.identity, lambda among: select(batches.c.identity, batches.c.state).where(among))


def _free_ids(connection: Connection, number: int) -> Iterator[int]:
    """Return at least that many ids of mailings that nobody else gets."""
    if connection.dialect.name == "sqlite":  # of which we are the only writer until we commit
        last = driver_rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = ?", (mailings.name,))
        return count(last[0][0] + 1 if last else 1)
    taking = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
    return iter([row[0] for row in driver_rows(connection, taking, (mailings.name, number))])
