"""One commit for many: who writes at once shares it, and who writes alone waits for nobody."""

from __future__ import annotations

import asyncio

from gatekeeper.store import Store
from gatekeeper.store.db.writer import Writer

CLIENTS, EACH = 20, 10


async def commits(store: Store, monkeypatch, clients: int) -> list[int]:
    """Sizes of the groups in which clients write, each one thing after another."""
    sizes: list[int] = []
    attempt = Writer._transact

    def counted(writer, group):
        sizes.append(len(group))
        attempt(writer, group)

    async def client() -> None:
        for _ in range(EACH):
            await store.run(lambda connection: None)

    monkeypatch.setattr(Writer, "_transact", counted)
    await asyncio.gather(*(client() for _ in range(clients)))
    assert sum(sizes) == clients * EACH
    return sizes


async def test_who_writes_at_once_shares_a_commit(store: Store, monkeypatch) -> None:
    assert len(await commits(store, monkeypatch, CLIENTS)) < CLIENTS * EACH / 5


async def test_who_writes_alone_waits_for_nobody(store: Store, monkeypatch) -> None:
    assert await commits(store, monkeypatch, 1) == [1] * EACH
    assert store.writer._linger == 0
