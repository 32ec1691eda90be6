"""What a process knows of the directory's sources, exchanged with the store: so it outlives it, and people can act."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from gatekeeper.directory.loaders.sources import NEVER_GOOD, Reading, Size
from gatekeeper.policy.active import InForce
from gatekeeper.store import Store, StoreError, sources
from gatekeeper.store.sources import Source


@dataclass(slots=True)
class SourceRecords:
    """The records of one process. Nothing is written before the store has been read once."""

    in_force: InForce
    store: Store
    _written: dict[str, Source] = field(default_factory=dict)  # as this process sees each source

    async def learn(self) -> bool:
        """Read how large each source was when it was good last; False while the database is away."""
        try:
            stored = await self.store.read(sources.all_sources)
        except StoreError:
            return False
        good = [source for source in stored if source.entries != NEVER_GOOD.entries]
        self.in_force.sources.learn({source.name: Size(source.entries, source.granted) for source in good})
        return True

    async def tell(self) -> None:
        """Write down what has changed here; what cannot be written is written the next time."""
        seen = {read.name: _record(read) for read in self.in_force.sources.readings}
        changed = [source for name, source in seen.items() if self._written.get(name) != source]
        try:
            for source in changed:
                await self.store.run(partial(sources.put, source=source))
            if self._written.keys() - seen.keys():
                await self.store.run(partial(sources.forget_others, names=frozenset(seen)))
        except StoreError:
            return
        self._written = seen


def _record(read: Reading) -> Source:
    size, found = read.size, read.found
    return Source(read.name, read.state, size.entries, size.granted, found.entries, found.granted)
