"""Keeps what mass mail says that passes, beside the relay and never in its way (`mass: {content: true}`, C1).

A message is handed over after its reply; a thread writes it. What waits has a bound: beyond it, and where the database
or the disk has no room, the copy is lost, which is counted, logged, and written on the timeline of the mailing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

from gatekeeper.model import Transaction
from gatekeeper.store import Arrival, Store, StoreError, passed
from gatekeeper.store.batches import CHUNK
from gatekeeper.store.passed import Copy

log = logging.getLogger("gatekeeper.records")
_SECONDS = 0.5  # between two looks at what waits
_MOST_OCTETS = 64 << 20  # of what waits
_MOST = 5_000  # messages that wait
_REMEMBERED = 2_000  # copies that are known to be there
_TRIES = 3  # of a copy while the database does not answer


@dataclass
class ContentKeeper:
    """Keeps copies of this process's mass mail that passed.

    Args: `count` is called with the numbers of copies kept and lost.
    """

    store: Store
    count: Callable[[int, int], None] = lambda kept, lost: None
    _waiting: deque[Copy] = field(default_factory=deque)
    _octets: int = 0
    _tries: int = 0  # of the first that waits
    _lost: Counter[tuple[int, str]] = field(default_factory=Counter)  # key of the mailing and why -> messages
    _known: OrderedDict[tuple[int, bytes], None] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="contents", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, once, and end the thread."""
        if self._thread:
            self._ending.set()
            self._thread.join()
            self._thread = None

    def keep(self, mailing: int, arrival: Arrival) -> None:
        """Take a message that has passed; return at once, and raise nothing. Args: `mailing` is its key."""
        size = len(arrival.transaction.content)
        if self._octets + size > _MOST_OCTETS or len(self._waiting) >= _MOST:
            self._lose(mailing, "too much waited to be written")
            return
        try:
            self._waiting.append(_copy(mailing, arrival))
        except Exception:  # a fault of ours must cost a copy, never a reply
            log.exception("what mass mail says was not kept")
            self._lose(mailing, "a fault of the gate")
        else:
            with self._lock:
                self._octets += size

    def _lose(self, mailing: int, why: str) -> None:
        with self._lock:
            self._lost[mailing, why] += 1
        self.count(0, 1)

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.wait(_SECONDS):
            self.flush()
        self.flush(last=True)

    def flush(self, *, last: bool = False) -> None:
        """Write what waits, as far as the database allows; raise nothing. Args: `last`: there is no other time."""
        while self._waiting:
            one = self._waiting[0]
            try:
                self._write(one)
            except StoreError as error:
                self._tries += 1
                if self._tries < _TRIES and not last:
                    return
                self._lose(one.mailing, f"the database did not take it: {error}")
            except Exception:  # a fault of ours must not end the thread
                log.exception("what mass mail says was not kept")
                self._lose(one.mailing, "a fault of the gate")
            self._waiting.popleft()
            self._tries = 0
            with self._lock:
                self._octets -= len(one.content)
        self._tell_lost()

    def _write(self, one: Copy) -> None:
        copy = replace(one, digest=sha256(one.content).digest())
        if (copy.mailing, copy.digest) in self._known or self.store.writer.read(partial(passed.is_known, copy=copy)):
            self._remember(copy)
            return
        total, size = self.store.limits.total, len(copy.content)
        if self.store.is_short_of_space(time.monotonic()):
            self._lose(one.mailing, "the disk is nearly full")
        elif not self.store.writer.read(partial(passed.has_room, size=size, total=total)):
            self._lose(one.mailing, "no more mail is kept (--keep-limit)")
        else:
            self._store(copy)
            self._remember(copy)
            self.count(1, 0)

    def _store(self, copy: Copy) -> None:
        """Write a copy: its body in commits of their own, so that a large one keeps no mail waiting."""
        position = self.store.call(partial(passed.begin, copy=copy, now=self.store.now()))
        for start in range(position or 0, -(-len(copy.content) // CHUNK) if position is not None else 0):
            self.store.call(partial(passed.add_chunk, copy=copy, position=start))
        self.store.call(partial(passed.add, copy=copy))

    def _remember(self, copy: Copy) -> None:
        self._known[copy.mailing, copy.digest] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _tell_lost(self) -> None:
        """Log how many copies were lost, and write it on the timelines."""
        with self._lock:
            lost, self._lost = self._lost, Counter()
        if not lost:
            return
        told = [(key, number, why) for (key, why), number in lost.items()]
        try:
            self.store.call(partial(passed.note_lost, lost=told, now=self.store.now()))
        except StoreError:
            with self._lock:
                self._lost += lost  # it is written at the next look
            return
        for _, number, why in told:
            log.warning("content of %d messages of mass mail was not kept: %s", number, why)


def _copy(mailing: int, arrival: Arrival) -> Copy:
    """Return what is to be kept of a message; nothing of it is needed after this. Its digest is worked out later."""
    transaction: Transaction = arrival.transaction
    return Copy(
        mailing=mailing,
        digest=b"",
        content=bytes(transaction.content),
        listener=transaction.listener,
        client=transaction.client,
        login=transaction.login,
        authenticated=transaction.authenticated,
        sender=transaction.sender,
        parameters=tuple(transaction.parameters),
        message_id=arrival.facts.message_id,
        content_digest=arrival.facts.content_digest,
        trace=arrival.trace,
        owners=tuple(arrival.source.owners),
        at=arrival.now.timestamp(),
    )
