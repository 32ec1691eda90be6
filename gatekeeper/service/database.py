"""Opens the database of one process, again and again until it is there, and answers how it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from gatekeeper.lib.aio import PeriodicTask
from gatekeeper.ops.http import Answer
from gatekeeper.ops.metrics import LedgerSummary
from gatekeeper.store import OutageLog, Store, StoreError, StoreSetupError, sources, views

log = logging.getLogger("gatekeeper.store")
_REOPEN_SECONDS = 1.0
_LOOK_SECONDS = 0.5  # between looks whether SQLite's files are still there
_TROUBLES = {
    "copy": "it cannot be asked, and its last copy stands",
    "expired": "it cannot be asked, and what hangs on it cannot be told",
    "shrunk": "it is not believed until it is as it was or `gatekeeper directory accept` says so",
}
Then = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing: the default where nobody waits for the database."""


def watching(store: Store) -> PeriodicTask:
    """Return the task that looks whether the database's files are still there, and logs where they are not."""

    async def look() -> None:
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(store.database.check_log)

    return PeriodicTask(_LOOK_SECONDS, look)


class DatabaseKeeper:
    """Opens a store and closes it."""

    def __init__(self, store: Store, *, writing: bool = True) -> None:
        """Args: with `writing` False only reads are served."""
        self.store = store
        self.is_open = False
        self._writing = writing
        self._problem = ""  # why it could not be opened when that was tried last
        self._opening: asyncio.Task[None] | None = None
        self._watching = watching(store)
        self._outage = OutageLog(log, "the metrics of the ledger")

    async def open(self, then: Then = nothing) -> None:
        """Open the database, or go on trying in a task: until it is there mail is answered 451.

        Args: `then` is awaited once it is open. Raises StoreSetupError where the database can never be used.
        """
        if not await self._open(then):
            self._opening = asyncio.create_task(self._keep_opening(then))

    async def close(self) -> None:
        """Finish what waits to be written, and close the connections."""
        if self._opening:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        await self._watching.stop()
        await asyncio.to_thread(self.store.close)

    async def _open(self, then: Then) -> bool:
        try:
            await asyncio.to_thread(lambda: self.store.open(writing=self._writing))
        except StoreSetupError:
            raise
        except StoreError as error:
            if str(error) != self._problem:
                log.error("%s; mail is answered 451 until then", error)
            self._problem = str(error)
            return False
        self.is_open = True
        self._watching.start()
        await then()
        return True

    async def _keep_opening(self, then: Then) -> None:
        opened = False
        while not opened:
            await asyncio.sleep(_REOPEN_SECONDS)
            try:
                opened = await self._open(then)
            except StoreSetupError as error:
                log.error("%s; mail is answered 451 until then", error)

    # -- how it is; both are asked in threads of the ops server ----------------------------------------------------

    def answers(self) -> Answer:
        """Return whether the database can be read, and why not; and what is wrong with sources of the directory."""
        if not self.is_open:
            return False, (self._problem or "the database is not open",)
        try:
            found = self.store.writer.read(sources.all_sources)
        except StoreError as error:
            return False, (str(error),)
        return True, tuple(_says(source) for source in found if source.state in _TROUBLES)

    def summary(self) -> LedgerSummary | None:
        """Count what the gauges of the ledger show; None where the database cannot be read."""
        with self._outage.survived():
            found = self.store.writer.read(views.summarise)
            age = self.store.now() - found.oldest_held if found.oldest_held else 0.0
            directory = {source.name: (source.entries, source.state) for source in found.sources}
            limit = self.store.limits.total or 0
            return LedgerSummary(
                mailings=found.mailings,
                queue=found.queue,
                oldest_held_seconds=age,
                sources=directory,
                queue_ages={kind: self.store.now() - since for kind, since in found.queued_since.items()},
                requests=found.requests,
                kept=found.kept,
                keep_limit=limit,
            )
        return None


def _says(source: sources.SourceState) -> str:
    return f"directory source {source.name} is {source.state}: {_TROUBLES[source.state]}"
