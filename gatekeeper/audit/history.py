"""Read decisions back in the order of their times, from all chains together."""

from __future__ import annotations

import heapq
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gatekeeper.audit.record import Frame, Record
from gatekeeper.store import Store, audit_chain
from gatekeeper.store.audit_chain import Block

Act = dict[str, Any]
_ACT = b"{"
_OF_CHAINS = (audit_chain.BEGUN, audit_chain.HEAD)


@dataclass
class History:
    """The recorded decisions between two times, in seconds since 1970, both included.

    Args: `on_read` is called with the number of records of each block that is read.
    """

    store: Store
    since: float
    until: float
    on_read: Callable[[int], None] = lambda records: None
    damaged: int = 0  # records that could not be read: `audit verify` says which
    lost: int = 0  # records that were never written, as their chains have it
    _blocks: list[Block] = field(default_factory=list)
    _frames: dict[str, Frame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._blocks = self._read(partial(audit_chain.blocks_between, since=self.since, until=self.until))
        self._frames = {name: Frame.read(text) for name, text in self._read(audit_chain.read_frames).items()}

    @property
    def size(self) -> int:
        """The number of records that will be read, at most."""
        return sum(block.records for block in self._blocks)

    def records(self) -> Iterator[tuple[Record, Frame | None]]:
        """Yield decisions in the order of their times; the frame is None where no rule was asked."""
        frames = self._frames
        for record in self._merged():
            if self.since <= record.at <= self.until:
                yield record, frames.get(record.frame)

    def acts(self) -> Iterator[Act]:
        """Yield what people did to the gate or the audit, and what the audit says of itself."""
        for block in self._blocks:
            acts = (json.loads(line) for line in self._lines(block) if line.startswith(_ACT))
            yield from (act for act in acts if act.get("act") not in _OF_CHAINS)

    def _merged(self) -> Iterator[Record]:
        """Yield records of all blocks by time. Blocks of several chains overlap in time: each is opened when its
        time has come.
        """
        open_: _Open = []
        for place, block in enumerate(self._blocks):
            while open_ and open_[0][0] < block.first_at:
                yield open_[0][2]
                _advance(open_)
            self.on_read(block.records)
            _push(open_, place, self._sorted(block))
        while open_:
            yield open_[0][2]
            _advance(open_)

    def _sorted(self, block: Block) -> Iterator[Record]:
        lines: list[bytes] = []
        said: list[bytes] = []
        for line in self._lines(block):
            (said if line.startswith(_ACT) else lines).append(line)
        self.lost += sum(map(_lost, said))
        rows = json.loads(b"[" + b",".join(lines) + b"]")
        rows.sort(key=_time)
        return map(Record._make, rows)

    def _lines(self, block: Block) -> list[bytes]:
        try:
            lines: list[bytes] = self._read(partial(audit_chain.lines_of, block=block))
        except zlib.error:
            self.damaged += block.records
            return []
        return lines

    def _read(self, function: Callable[..., Any]) -> Any:
        return self.store.writer.read(function)


def _lost(line: bytes) -> int:
    """Return how many records were lost by what a chain says of itself; 0 where the line says something else."""
    act = json.loads(line) if b'"lost"' in line else {}
    return int(act.get("records", 0)) if act.get("act") == "lost" else 0


def _time(row: list[Any]) -> float:
    at: float = row[0]
    return at


_Open = list[tuple[float, int, Record, Iterator[Record]]]


def _push(open_: _Open, place: int, records: Iterator[Record]) -> None:
    first = next(records, None)
    if first is not None:
        heapq.heappush(open_, (first.at, place, first, records))


def _advance(open_: _Open) -> None:
    """Go on from the earliest record of all open blocks."""
    _, place, _, records = open_[0]
    following = next(records, None)
    if following is None:
        heapq.heappop(open_)
    else:
        heapq.heapreplace(open_, (following.at, place, following, records))
