"""Rules and directory read anew, on SIGHUP and every few seconds: every process of a gate does it for itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatekeeper.lib.aio import every
from gatekeeper.policy.active import InForce, InForceError
from gatekeeper.policy.source_records import SourceRecords

log = logging.getLogger("gatekeeper.rules")
_SECONDS = 2.0


@dataclass(slots=True)
class Reloading:
    """Keeps the policy of this process at what the files say.

    Args: `tried` is told of each change that was seen, True where it came into force; `records` are those of the
    directory's sources, which are exchanged with the store once `has_store` says that it is there.
    """

    in_force: InForce
    tried: Callable[[bool], None] = lambda went_well: None
    records: SourceRecords | None = None
    has_store: bool = False
    _loop: asyncio.Task[None] | None = None
    _asked: asyncio.Task[None] | None = None
    _problem: str = ""  # what was logged last, so that a bad file is not logged every few seconds

    def start(self) -> None:
        """Look at the files from now on."""
        self._loop = asyncio.create_task(every(_SECONDS, self.poll))

    async def stop(self) -> None:
        """Look no more."""
        tasks: list[asyncio.Task[Any]] = [task for task in (self._loop, self._asked) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ask(self) -> None:
        """Look now."""
        self._asked = asyncio.create_task(self.reload())

    async def reload(self) -> None:
        """Read the rules and the directory anew; bad ones leave what is in force, and are logged once."""
        await self._try(self.in_force.reload)

    async def poll(self) -> None:
        """As `reload`, where a file has changed."""
        await self._try(self.in_force.poll)

    async def begin(self) -> None:
        """Go by what the store knows of the directory's sources from now on: before the first message."""
        self.has_store = True
        await self.poll()

    async def _try(self, read: Callable[[], bool]) -> None:
        learned = self.records is not None and self.has_store and await self.records.learn()
        await self._read(read)
        if learned and self.records:
            await self.records.tell()

    async def _read(self, read: Callable[[], bool]) -> None:
        try:
            changed = await asyncio.to_thread(read)
        except InForceError as error:
            if str(error) != self._problem:
                log.error("rules not reloaded, the last good ones stay in force: %s", error)
                self.tried(False)
            self._problem = str(error)
            return
        self._problem = ""
        if changed:
            self.tried(True)
