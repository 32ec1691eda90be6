"""The database: what is counted, stored, decided and queued. Rows and SQL stay in this room.

`Store` is how other rooms see it: asynchronous methods for the running gate, and `call` for commands. What a method
does in its transaction is in the file of its topic. Read first: `decide.py` (the one atomic step), `mailing_match.py`,
`batches.py`, `jobs.py`, and `db/` for the engine, the writer and the schema.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from gatekeeper.lib.aio import Timeouts
from gatekeeper.lib.failpoints import step
from gatekeeper.model import Outcome
from gatekeeper.store import acts, batches
from gatekeeper.store.arrival import Arrival, Gathering, Judge, body_digest
from gatekeeper.store.db.engine import Database
from gatekeeper.store.db.errors import StoreError, StoreFull, StoreSetupError
from gatekeeper.store.db.hashing import find_secret, lock_name, read_secret
from gatekeeper.store.db.outage_log import OutageLog
from gatekeeper.store.db.wakeup import WakeupListener
from gatekeeper.store.db.writer import Writer
from gatekeeper.store.decide import decide
from gatekeeper.store.kept import NO_LIMITS, KeepLimits, KeptTooMuch
from gatekeeper.store.mailing_keys import hash_arrival
from gatekeeper.store.unit_of_work import PendingDecision

__all__ = [
    "Arrival",
    "Connection",
    "Database",
    "Gathering",
    "Judge",
    "KeepLimits",
    "KeptTooMuch",
    "OutageLog",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreSetupError",
    "WakeupListener",
]
T = TypeVar("T")
_QUICK = 65_536  # octets up to which hashing takes less time than handing it to a thread


class Store:
    """The database as the gate uses it."""

    def __init__(self, database: Database, limits: KeepLimits = NO_LIMITS) -> None:
        """Args: `database` may be unreachable yet; until it is reached, every method raises StoreError. `limits` are
        those of kept mail.
        """
        self.database, self.limits = database, limits
        self.writer = Writer(database, acts.write)
        # Readers have threads of their own: while they wait for a database that is away they must not keep other work
        # from its threads.
        self._readers = ThreadPoolExecutor(max(1, database.connections - 1), "store-reader")
        self._secret: bytes | None = None

    def open(self, *, writing: bool = True) -> None:
        """Migrate the database and start the writer; without `writing` only `call` is served. Raises StoreError."""
        self.database.prepare()
        self.writer.read(self.database.clock.adopt)
        self._secret = self.writer.read(find_secret) or self.writer.call(read_secret)
        if writing:
            self.writer.start()

    def close(self) -> None:
        """Finish the work that is queued, and close the connections."""
        self.writer.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.database.dispose()

    def is_short_of_space(self, now: float) -> bool:
        """Return True where the database's disk has less room than a few large messages need; checked once a second.

        Args: `now` in seconds of a clock that only goes forward.
        """
        return self.database.space.is_short(now)

    @property
    def secret(self) -> bytes:
        """The key of the database's hashes."""
        if self._secret is None:
            raise StoreError("database: not open yet")
        return self._secret

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Run a function of store/ in a transaction, with group commit. Raises StoreError, or what the function
        raises.
        """
        return await self.writer.submit(function)

    def call(self, function: Callable[[Connection], T]) -> T:
        """Do as `run`, from a thread without an event loop."""
        return self.writer.call(function)

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function that only reads, in a thread beside the writer. Raises StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.writer.read, function)

    def now(self) -> float:
        """Return the time that all processes on this database share, in seconds since 1970."""
        return self.database.clock.now()

    async def decide(self, arrival: Arrival, judge: Judge, timeouts: Timeouts | None = None) -> Outcome:
        """Find the mailing, count, judge and write, in one atomic step. Raises StoreError, KeptTooMuch.

        Raises TimeoutError where its time is over; a decision that has not begun is not made then.
        """
        pending = PendingDecision(arrival, hash_arrival(self.secret, arrival), judge)
        watch = timeouts.watch if timeouts else None
        outcome = await self.writer.submit_to(self._decide, pending, pending.hashes.locks, watch)
        step("decided")
        return outcome

    def _decide(self, connection: Connection, pending: list[PendingDecision]) -> list[Outcome | Exception]:
        return decide(connection, self.secret, pending, self.limits)

    async def keep(self, arrival: Arrival, batch_id: int) -> bool:
        """Make a held or gathered batch durable: its body in commits of their own, then the seal. Raises StoreError.

        Returns True once the batch may be acknowledged. False where its mailing was decided meanwhile: the transaction
        must be decided again.
        """
        digest, locks = await self._store_body(arrival)
        sealed = await self.writer.submit(partial(batches.seal, batch_id=batch_id, digest=digest), locks)
        step("sealed")
        return sealed

    async def store_body(self, arrival: Arrival) -> bytes:
        """Store a message for the rest of its recipients, beyond the next hop's limit; return its digest.

        It is whole once `rest.release_rest` says so. Raises StoreError.
        """
        return (await self._store_body(arrival))[0]

    async def _store_body(self, arrival: Arrival) -> tuple[bytes, tuple[int, ...]]:
        """Store a body; return its digest, and the locks of everybody who decides or stores such mail."""
        content, now = arrival.transaction.content, arrival.now.timestamp()
        quick = len(content) <= _QUICK
        digest = body_digest(arrival) if quick else await asyncio.to_thread(body_digest, arrival)
        locks = (*hash_arrival(self.secret, arrival).locks, lock_name(digest))
        opening = partial(batches.open_body, digest=digest, size=len(content), now=now)
        position = await self.writer.submit(opening, locks)
        step("body-opened")
        if position is not None:
            await self._write_body(digest, content, position)
        return digest, locks

    async def _write_body(self, digest: bytes, content: bytes, position: int) -> None:
        for start in range(position * batches.CHUNK, len(content), batches.CHUNK):
            data = content[start : start + batches.CHUNK]
            await self.run(partial(batches.write_chunk, digest=digest, position=start // batches.CHUNK, data=data))
            step("body-chunk")
        step("body-complete")
