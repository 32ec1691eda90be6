"""Write decisions to the audit off the message path: a thread takes records from a queue and writes them in groups.

A record is made at once, from what the judgment has just read; it is small, and nothing of the message waits with it.
The thread has commits of its own. A slow or failing audit costs no message and delays no reply: what waits too long is
dropped, and the number of dropped records is written instead.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple

from gatekeeper.audit.record import DecisionContext, Frame, Record, Recorder, record_unjudged
from gatekeeper.policy.evidence import Judgment
from gatekeeper.rules import Ruleset
from gatekeeper.store import Store, StoreError, audit_chain
from gatekeeper.store.db.hashing import keyed

log = logging.getLogger("gatekeeper.audit")
_SECONDS = 0.5  # between two groups
_MOST = 20_000  # records that may wait; those beyond are dropped and counted
_GROUP = 2_000  # records a commit
_ANCHOR_SECONDS = 3600.0  # between two log lines that state the head of the chain


class _Entry(NamedTuple):
    """A record that lacks the hash of its source's mailbox, and its frame; None for a record without values."""

    record: Record
    mailbox: str
    frame: Frame | None


class _Line(NamedTuple):
    at: float
    text: bytes


@dataclass
class Auditor:
    """Records the decisions of this process, in a chain of its own.

    Args: `count` is called with the numbers of records written and lost.
    """

    store: Store
    name: str = "gate"
    count: Callable[[int, int], None] = lambda written, lost: None
    _waiting: deque[_Entry] = field(default_factory=deque)
    _lines: list[_Line] = field(default_factory=list)
    _dropped: int = 0  # counted where records are made
    _failed: int = 0  # counted in the thread
    _told: int = 0  # of those two, written down
    _end: audit_chain.ChainEnd | None = None
    _frames: dict[str, str] = field(default_factory=dict)  # of the records that wait in the thread
    _written: set[str] = field(default_factory=set)  # names of the frames that the chain has
    _recorders: dict[str, Recorder] = field(default_factory=dict)  # by the ruleset's digest
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _anchored_at: float = 0.0
    _problem: str = ""  # what was logged last

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="auditor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write the records that wait, once, and end the thread."""
        if self._thread:
            self._ending.set()
            self._thread.join()
            self._thread = None
        if self._end and self._end.records:
            self._anchor(self._end)

    def judged(self, judged: Judgment, about: DecisionContext) -> None:
        """Queue the record of a judgment; return at once, and raise nothing."""
        self._take(partial(self._recorded, judged, about))

    def unjudged(self, now: datetime, verdict: str, mailbox: str, about: DecisionContext) -> None:
        """Queue the record of a transaction about which no rule was asked; return at once, and raise nothing."""
        self._take(lambda: _Entry(record_unjudged(now, verdict, about), mailbox, None))

    def _recorded(self, judged: Judgment, about: DecisionContext) -> _Entry:
        recorder, evidence = self._recorder(judged.ruleset), judged.evidence
        record = recorder.record(evidence, judged.verdict, judged.now, about)
        return _Entry(record, evidence.source.mailbox, recorder.frame)

    def _take(self, make: Callable[[], _Entry]) -> None:
        if len(self._waiting) >= _MOST:
            self._dropped += 1
            return
        try:
            self._waiting.append(make())
        except Exception:  # a fault of ours must cost a record, never a reply
            log.exception("a decision was not recorded")
            self._dropped += 1

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending.wait(_SECONDS):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write the records that wait, as far as the database allows; raise nothing."""
        try:
            while self._waiting or self._lines:
                secret = self.store.secret
                self._lines += self._encode(_taken(self._waiting, _GROUP - len(self._lines)), secret)
                self._write()
        except StoreError as error:
            self._complain(f"decisions wait to be recorded: {error}")
        except Exception:  # a fault of ours must not end the thread, nor come again with the same records
            log.exception("decisions were not recorded")
            self._failed += len(self._lines)
            self._lines = []
        else:
            self._problem = ""

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem

    def _encode(self, entries: Iterable[_Entry], secret: bytes) -> Iterable[_Line]:
        for record, mailbox, frame in entries:
            try:
                line = record._replace(source=keyed(secret, mailbox)[:8].hex()).line()
            except Exception:
                log.exception("a decision was not recorded")
                self._failed += 1
                continue
            if frame and frame.name not in self._written:
                self._frames[frame.name] = frame.text
            yield _Line(record.at, line)

    def _recorder(self, ruleset: Ruleset) -> Recorder:
        found = self._recorders.get(ruleset.digest)
        if found is None:
            found = self._recorders[ruleset.digest] = Recorder(ruleset)
        return found

    def _write(self) -> None:
        lost = self._dropped + self._failed - self._told
        lines = [*self._lines, *self._gap(lost)]
        if not lines:
            return
        if self._end is None:
            self._end = self.store.call(partial(audit_chain.begin, name=_full(self.name), now=self.store.now()))
            frames = [recorder.frame for recorder in list(self._recorders.values())]
            self._frames, self._written = {frame.name: frame.text for frame in frames}, set()
        times = [line.at for line in lines]
        written = audit_chain.RecordGroup(tuple(line.text for line in lines), min(times), max(times))
        payload = audit_chain.pack(written.lines)
        try:
            appending = partial(
                audit_chain.append, end=self._end, written=written, payload=payload, frames=dict(self._frames)
            )
            self._end = self.store.call(appending)
        except audit_chain.ChainLost:
            log.error("audit chain %d does not end where it was left; a new one begins", self._end.id)
            self._end = None
            raise StoreError("the audit chain was changed by another") from None
        self._written.update(self._frames)
        self._frames, self._lines, self._told = {}, [], self._told + lost
        self.count(len(written.lines), lost)
        if written.last_at - self._anchored_at > _ANCHOR_SECONDS:
            self._anchored_at = written.last_at
            self._anchor(self._end)

    def _gap(self, lost: int) -> Iterable[_Line]:
        if lost:
            now = self.store.now()
            yield _Line(now, json.dumps({"at": now, "act": "lost", "records": lost}).encode())

    def _anchor(self, end: audit_chain.ChainEnd) -> None:
        """Write the head of the chain to the chain of acts, and to the log, which nobody changes with the database."""
        act = {"at": self.store.now(), "act": audit_chain.HEAD, "chain": end.id, "records": end.records}
        with suppress(StoreError):
            self.store.call(partial(audit_chain.note, act={**act, "head": end.head.hex()}))
        log_head(end.id, end.records, end.head)


def log_head(chain: int, records: int, head: bytes) -> None:
    """Log the head of a chain, in the form that `audit verify --head` takes."""
    log.info("audit chain %d: %d records, head %s", chain, records, head.hex())


def _taken(waiting: deque[_Entry], most: int) -> list[_Entry]:
    return [waiting.popleft() for _ in range(min(len(waiting), most))]


def _full(name: str) -> str:
    return f"{name} on {socket.gethostname()}, process {os.getpid()}"[:120]
