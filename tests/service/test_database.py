"""A process opens its database again and again until it is there; /readyz says what keeps it from being opened."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from gatekeeper.service.database import DatabaseKeeper
from gatekeeper.store import Database, Store
from tests.peers import wait_for
from tests.store.databases import lay_out


async def test_a_log_that_was_removed_before_the_start_waits_for_a_person(tmp_path: Path, caplog):
    """As after SIGKILL: the index of the write-ahead log is there, the log is not."""
    lay_out(tmp_path / "gate.db")
    index = tmp_path / "gate.db-shm"
    index.touch()
    keeper = DatabaseKeeper(Store(Database(f"sqlite:///{tmp_path}/gate.db", 1.0)), writing=False)
    caplog.set_level(logging.ERROR)
    await keeper.open()
    await asyncio.sleep(1.5)  # it has tried again
    assert not keeper.is_open
    well, (why,) = keeper.answers()
    assert not well and "gate.db-wal was removed" in why and "remove" in why
    assert caplog.text.count("gate.db-wal was removed") == 1, "said once"
    index.unlink()
    await asyncio.to_thread(wait_for, lambda: keeper.is_open, lambda: str(keeper.answers()), 5.0)
    assert keeper.answers() == (True, ())
    await keeper.close()
