"""Reload rules and directory on SIGHUP and every few seconds: every process of a gate does so for itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from gatekeeper.directory.loaders.sources import NEVER_GOOD, SourceReading, SourceSize
from gatekeeper.lib.aio import PeriodicTask, run_long
from gatekeeper.policy.active import ActivePolicy, PolicyError
from gatekeeper.store import OutageLog, Store, sources
from gatekeeper.store.sources import SourceState

log = logging.getLogger("gatekeeper.rules")
_SECONDS = 2.0
_LONGEST_PROBLEM = 500  # characters


@dataclass(slots=True)
class SourceRecords:
    """Exchanges with the database how many entries each source of the directory has, so that this outlives the process.

    Nothing is written before the database has been read once.
    """

    active_policy: ActivePolicy
    store: Store
    _written: dict[str, SourceState] = field(default_factory=dict)  # as this process sees each source
    _outage: OutageLog = field(default_factory=lambda: OutageLog(log, "the sizes of directory sources"))

    async def load(self) -> bool:
        """Read how many entries each source had at its last good load; return False where the database is away."""
        with self._outage.survived():
            stored = await self.store.read(sources.all_sources)
            good = {each.name: SourceSize(each.entries, each.granted) for each in stored if _was_good(each)}
            self.active_policy.sources.learn(good)
            return True
        return False

    async def store_changes(self) -> None:
        """Write what has changed in this process; on StoreError the next call tries again."""
        seen = {read.name: _record(read) for read in self.active_policy.sources.readings}
        changed = [source for name, source in seen.items() if self._written.get(name) != source]
        with self._outage.survived():
            for source in changed:
                await self.store.run(partial(sources.put, source=source))
            if self._written.keys() - seen.keys():
                await self.store.run(partial(sources.forget_others, names=frozenset(seen)))
            self._written = seen


def _was_good(source: SourceState) -> bool:
    return source.entries != NEVER_GOOD.entries


def _record(read: SourceReading) -> SourceState:
    size, found = read.size, read.found
    return SourceState(read.name, read.state, size.entries, size.granted, found.entries, found.granted)


@dataclass(slots=True)
class Reloader:
    """Keeps the policy of this process equal to the files.

    Args: `on_attempt` is called after each change that was seen, with True where it came into force. `records` are
    exchanged with the database once `use_store` was called.
    """

    active_policy: ActivePolicy
    on_attempt: Callable[[bool], None] = lambda succeeded: None
    records: SourceRecords | None = None
    has_store: bool = False
    _polling: PeriodicTask = field(init=False)
    _extra: asyncio.Task[None] | None = None  # a reload beside the loop
    _problem: str = ""  # what was logged last, so that a bad file is not logged every few seconds

    def __post_init__(self) -> None:
        self._polling = PeriodicTask(_SECONDS, self.poll)

    def start(self) -> None:
        """Start to poll the files."""
        self._polling.start()

    async def stop(self) -> None:
        """Stop polling, and a reload that runs."""
        await self._polling.stop()
        if self._extra:
            self._extra.cancel()
            await asyncio.wait([self._extra])

    def reload_soon(self) -> None:
        """Start a reload in a task of its own."""
        self._extra = asyncio.create_task(self.reload())

    async def reload(self) -> None:
        """Reload rules and directory. Where they cannot be used, the last ones stay in force and the problem is logged
        once.
        """
        await self._try(self.active_policy.reload)

    async def poll(self) -> None:
        """Reload where a file has changed."""
        await self._try(self.active_policy.poll)

    @property
    def problem(self) -> str:
        """Why the rules on disk cannot be used, in one line; "" where they can."""
        first, *more = self._problem.splitlines() or [""]
        first = first[:_LONGEST_PROBLEM]
        return f"{first} (and {len(more)} more)" if more else first

    async def use_store(self) -> None:
        """Compare sources with the database's records from now on, and poll once; called before the first message."""
        self.has_store = True
        await self.poll()

    async def _try(self, read: Callable[[], bool]) -> None:
        learned = self.records is not None and self.has_store and await self.records.load()
        await self._read(read)
        if learned and self.records:
            await self.records.store_changes()

    async def _read(self, read: Callable[[], bool]) -> None:
        try:
            changed = await run_long(read)
        except PolicyError as error:
            known, self._problem = self._problem, str(error)
            if known != self._problem:
                log.error("rules not reloaded, the last good ones stay in force: %s", error)
                self.on_attempt(False)
            return
        mended = bool(self._problem) and (changed or await asyncio.to_thread(self.active_policy.is_on_disk))
        if mended:
            log.info("the rules on disk can be used again")
            self._problem = ""
        if changed or mended:
            self.on_attempt(True)
