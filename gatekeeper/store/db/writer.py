"""The one writer of a process: a thread that takes queued work, runs it in one transaction, and commits once.

Each piece of work has a savepoint of its own, so that one that fails or is rolled back leaves the others alone. A
commit costs the same for one as for forty: that is what makes `synchronous=FULL` bearable.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.store.db.engine import Database
from gatekeeper.store.db.errors import StoreError, has_moved, is_clash, is_outage, translate
from gatekeeper.store.db.statements import noted, savepoint

log = logging.getLogger("gatekeeper.store")
Item = TypeVar("Item")
T = TypeVar("T")
_GROUP = 64  # the most pieces of work in one commit
# Seconds that a group waits for more work while many write at once, and never longer than the last commit took. A
# commit costs the CPU time of three decisions: in groups of two, each decision costs twice what it does in groups of
# eight.
_LINGER = 0.005
_ATTEMPTS = 4  # at a transaction that Postgres gave up because of another


Together = Callable[[Connection, list[Item]], Sequence[T | Exception]]  # for each a result, or what it raised


@dataclass(slots=True)
class _Work:
    together: Together[Any, Any]  # does all work of a group that names it, in one call
    item: Any
    locks: tuple[int, ...]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Writer:
    """Runs functions of a connection in groups. Work of one kind is done in the order in which it came.

    Args: `at_the_end` is called in every transaction before it is committed, with the connection.
    """

    database: Database
    at_the_end: Callable[[Connection], None] = lambda connection: None
    _waiting: queue.SimpleQueue[_Work | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _linger: float = 0.0  # seconds that the next group waits for more

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        if self._thread:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    async def submit(self, function: Callable[[Connection], T], locks: Iterable[int] = ()) -> T:
        """Run the function in a transaction, in a savepoint of its own, and return its result once that is committed.

        Args: `locks` are the 64-bit names of what the function reads and writes on Postgres, so that a group can take
        them in one order. Raises StoreError where the database is at fault, else what the function raised; nothing of
        its work is stored then. A caller that stops waiting before its turn takes its work back.
        """
        return await self.submit_to(_run_each, function, locks)

    async def submit_to(
        self,
        together: Together[Item, T],
        item: Item,
        locks: Iterable[int] = (),
        watch: Callable[[asyncio.Future[Any]], None] | None = None,
    ) -> T:
        """Do as `submit` for one of several items that a function takes at once: all that wait for that function.

        Args: `watch` may set an exception on the future whose result is awaited.
        """
        loop = asyncio.get_running_loop()
        work = _Work(together, item, tuple(locks), loop.create_future(), loop)
        self._waiting.put(work)
        if watch:
            watch(work.future)
        result: T = await work.future
        return result

    def call(self, function: Callable[[Connection], T], locks: Iterable[int] = ()) -> T:
        """Do as `submit`, in a transaction of its own on the calling thread: for commands, which have no event loop."""
        work = _Work(_run_each, function, tuple(locks), None, None)  # type: ignore[arg-type]
        self._commit([work])
        if work.error:
            raise work.error
        result: T = work.result
        return result

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function that only reads, on the calling thread, without waiting for the writer."""
        try:
            self.database.check_present()
            with self.database.engine.connect() as connection:
                connection = connection.execution_options(readonly=True)
                self.database.clock.tend(connection)
                return function(connection)
        except SQLAlchemyError as error:
            raise translate(error) from error

    def _run(self) -> None:
        while group := self._next_group():
            began = time.monotonic()
            try:
                self._commit(group)
                _answer(group)
            except MemoryError:  # whoever waits is answered 451 in time; those who come later find this thread alive
                log.exception("no memory for %d pieces of work", len(group))
            self._linger = min(_LINGER, time.monotonic() - began) if len(group) > 1 else 0.0

    def _next_group(self) -> list[_Work]:
        """Return the work that waits, up to a group; [] at the end. After a group of many, sleep a little for more.

        Waking up for each piece of work would cost a change of threads each.
        """
        group: list[_Work] = []
        work = self._waiting.get()
        if self._linger:
            time.sleep(self._linger)
        while work is not None:
            if not work.future.done():
                group.append(work)
            if len(group) == _GROUP or (group and self._waiting.empty()):
                return group
            work = self._waiting.get()
        if group:
            self._waiting.put(None)
        return group

    def _commit(self, group: list[_Work]) -> None:
        """Do the group's work in one transaction; piece by piece where it failed and the database is not away.

        So one piece that cannot be written fails alone. A group has locks for all of its work at once, in the order in
        which the work came: on Postgres two groups may wait for each other again and again. A piece alone seldom does.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._transact(group)
                return
            except StoreError as error:
                _fail(group, error)
                return
            except Exception as error:  # whatever it is, it must not end the thread that everyone waits for
                if has_moved(error):
                    self.database.dispose()
                clashed = is_clash(error)
                if len(group) > 1 and (clashed or not is_outage(error)):
                    self._commit_each(group, error)
                    return
                if not clashed or attempt == _ATTEMPTS:
                    _fail(group, translate(error) if isinstance(error, SQLAlchemyError) else error)
                    return

    def _commit_each(self, group: list[_Work], error: Exception) -> None:
        if not is_clash(error):
            log.warning("what waited together is done one by one", exc_info=error)
        for work in group:
            self._commit([work])

    def _transact(self, group: list[_Work]) -> None:
        self.database.check_present()
        with self.database.turn(), self.database.engine.connect() as connection, connection.begin():
            self.database.clock.tend(connection)
            noted(connection).clear()
            if not self.database.is_sqlite:
                _lock(connection, group)
            for together, works in _by_kind(group).items():
                results = together(connection, [work.item for work in works])
                for work, result in zip(works, results, strict=True):
                    work.result, work.error = (None, result) if isinstance(result, Exception) else (result, None)
            self.at_the_end(connection)
        self.database.check_log()  # what was written to a log that is gone is not acknowledged


def _by_kind(group: list[_Work]) -> dict[Together[Any, Any], list[_Work]]:
    kinds: dict[Together[Any, Any], list[_Work]] = {}
    for work in group:
        kinds.setdefault(work.together, []).append(work)
    return kinds


def _lock(connection: Connection, group: list[_Work]) -> None:
    """Take the locks of the whole group in one order, so that two groups never wait for each other in a circle."""
    names = sorted({name for work in group for name in work.locks})
    if names:
        taking = "SELECT pg_advisory_xact_lock(name) FROM unnest(CAST(:names AS bigint[])) AS name"
        connection.execute(text(taking), {"names": names})


def _run_each(connection: Connection, functions: list[Callable[[Connection], T]]) -> list[T | Exception]:
    """Run functions one after another, each in a savepoint; what one raises takes back its own work."""
    return [_run_one(connection, function) for function in functions]


def _run_one(connection: Connection, function: Callable[[Connection], T]) -> T | Exception:
    savepoint(connection, "SAVEPOINT work")
    before = len(noted(connection))
    error: Exception
    try:
        result = function(connection)
    except SQLAlchemyError as fault:
        if is_outage(fault) or is_clash(fault):
            raise
        error = translate(fault)
    except Exception as fault:
        error = fault
    else:
        savepoint(connection, "RELEASE SAVEPOINT work")
        return result
    savepoint(connection, "ROLLBACK TO SAVEPOINT work")
    savepoint(connection, "RELEASE SAVEPOINT work")
    del noted(connection)[before:]
    return error


def _fail(group: list[_Work], error: Exception) -> None:
    for work in group:
        work.error = error


def _answer(group: list[_Work]) -> None:
    """Hand the results to their event loops, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Work]] = {}
    for work in group:
        by_loop.setdefault(work.loop, []).append(work)
    for loop, works in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, works)
        except RuntimeError:
            log.warning("%d results came after their loop had ended", len(works))


def _resolve(works: list[_Work]) -> None:
    for work in works:
        if work.future.done():
            continue
        if work.error:
            work.future.set_exception(work.error)
        else:
            work.future.set_result(work.result)
