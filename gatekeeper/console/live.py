"""Tell an open page what has changed, as server-sent events: ids, states and versions of what a person may see."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from threading import Lock

from starlette.concurrency import run_in_threadpool

from gatekeeper.ledger.changes import Change, Changes
from gatekeeper.ledger.context import Unavailable

_PAUSE = 1.0  # seconds between two looks
_CHECK = 4.0  # seconds between two looks whether the session is still there
_QUIET = 20.0  # seconds after which a comment keeps the connection
_MOST = 4  # streams of one person


@dataclass(slots=True)
class Streams:
    """How many streams each person has, and the newest event, which all streams ask for together."""

    closed: bool = False  # the console ends: all streams do
    _of: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)
    _newest: int = 0
    _asked_at: float = float("-inf")

    def begin(self, address: str) -> bool:
        """Count a stream of somebody; False where they have as many as they may."""
        with self._lock:
            if self._of[address] >= _MOST:
                return False
            self._of[address] += 1
            return True

    def end(self, address: str) -> None:
        """Count a stream less."""
        with self._lock:
            self._of[address] -= 1

    def newest(self, ask: Callable[[], int]) -> int:
        """Return the newest event, asked for at most once in a pause."""
        with self._lock:
            if time.monotonic() - self._asked_at >= _PAUSE * 0.9:
                self._newest, self._asked_at = ask(), time.monotonic()
            return self._newest


@dataclass(slots=True)
class Watch:
    """What one stream tells.

    Args: `streams` are all of the process; `ask` returns the newest event, `look` what has changed since one.
    """

    streams: Streams
    ask: Callable[[], int]
    look: Callable[[int], Changes]
    is_alive: Callable[[], bool]
    after: int
    _known: dict[str, str] = field(default_factory=dict)  # version of what was told
    _waiting: int | None = None
    _alive_at: float = float("-inf")
    _told_at: float = field(default_factory=time.monotonic)

    async def stream(self, pause: float = _PAUSE) -> AsyncIterator[str]:
        """Yield events until the session has ended."""
        yield "retry: 5000\n\n"
        while (found := await run_in_threadpool(self._next)) is not None:
            if not found and time.monotonic() - self._told_at >= _QUIET:
                found = ": nothing new\n\n"
            if found:
                self._told_at = time.monotonic()
                yield found
            await asyncio.sleep(pause)

    def _next(self) -> str | None:
        """Return what is to be told now, "" for nothing; None where the session has ended."""
        if self.streams.closed:
            return None
        try:
            if time.monotonic() - self._alive_at >= _CHECK:
                self._alive_at = time.monotonic()
                if not self.is_alive():
                    return None
            newest = self.streams.newest(self.ask)
            if newest == self.after and self._waiting is not None:
                return ""
            return self._told(self.look(self.after))
        except Unavailable:
            return ""  # the pages say that the database is away

    def _told(self, found: Changes) -> str:
        new = [each for each in found.matters if self._known.get(each.id) != each.version]
        self._known.update((each.id, each.version) for each in new)
        told = "".join(_event(found.last, each.kind, _shown(each)) for each in new)
        if found.waiting != self._waiting:
            told += _event(found.last, "waiting", {"count": found.waiting})
        self.after, self._waiting = found.last, found.waiting
        return told


def _shown(change: Change) -> dict[str, str]:
    return {"id": change.id, "state": change.state, "version": change.version}


def _event(number: int, name: str, data: dict[str, str] | dict[str, int]) -> str:
    """Return an event as the standard of server-sent events has it."""
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
