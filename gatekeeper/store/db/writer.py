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
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.db.engine import Database
from gatekeeper.store.db.errors import StoreError, has_moved, is_clash, is_outage, translate
from gatekeeper.store.db.statements import savepoint

log = logging.getLogger("gatekeeper.store")
T = TypeVar("T")
_GROUP = 64  # the most pieces of work in one commit
# Seconds that a group waits for more work while many write at once, and never longer than the last commit took. A
# commit costs the CPU time of three decisions: in groups of two, each decision costs twice what it does in groups of
# eight.
_LINGER = 0.005
_ATTEMPTS = 4  # at a transaction that Postgres gave up because of another


@immutable
class Undo(Generic[T]):
    """A result whose work is rolled back to its savepoint; the result is returned all the same."""

    result: T


@dataclass(slots=True)
class _Work:
    function: Callable[[Connection], Any]
    locks: tuple[int, ...]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    case: Any = None  # what `Writer.together` may settle along with others
    result: Any = None
    error: BaseException | None = None


class _NotTogether(Exception):
    """Work that was to be done together failed: each piece is tried by itself."""


Together = Callable[[Connection, list[Any]], Sequence[Any]]


@dataclass(slots=True)
class Writer:
    """Runs functions of a connection, in order of arrival, in groups.

    Args: `together`, where given, settles several cases at once, before all other work of their group: it returns a
    result or an exception for each, None for one whose function must be run.
    """

    database: Database
    together: Together | None = None
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

    async def submit(
        self,
        function: Callable[[Connection], T | Undo[T]],
        locks: Iterable[int] = (),
        case: object = None,
        watch: Callable[[asyncio.Future[Any]], None] | None = None,
    ) -> T:
        """Run the function in a transaction, and return its result once that is committed.

        Args: `locks` are the 64-bit names of what the function reads and writes on Postgres, so that a group can take
        them in one order; `case` is what `together` may settle instead of the function; `watch` may set an exception on
        the future whose result is awaited. Raises StoreError where the database is at fault, else what the function
        raised; nothing of its work is stored then. A caller that stops waiting before its turn takes its work back.
        """
        loop = asyncio.get_running_loop()
        work = _Work(function, tuple(locks), loop.create_future(), loop, case)
        self._waiting.put(work)
        if watch:
            watch(work.future)
        result: T = await work.future
        return result

    def call(self, function: Callable[[Connection], T | Undo[T]], locks: Iterable[int] = ()) -> T:
        """Do as `submit`, in a transaction of its own on the calling thread: for commands, which have no event loop."""
        work = _Work(function, tuple(locks), None, None)  # type: ignore[arg-type]
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
            self._commit(group)
            _answer(group)
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
        """Do the group's work in one transaction, or piece by piece where Postgres gave that up for another's.

        A group has locks for all of its work at once, in the order in which the work came: two groups may wait for each
        other again and again. A piece alone seldom does.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._attempt(group)
                return
            except SQLAlchemyError as error:
                if has_moved(error):
                    self.database.dispose()
                if is_clash(error) and len(group) > 1:
                    for work in group:
                        self._commit([work])
                    return
                if not is_clash(error) or attempt == _ATTEMPTS:
                    _fail(group, translate(error))
                    return
            except StoreError as error:
                _fail(group, error)
                return
            except Exception as error:  # a fault of ours must not end the thread that everyone waits for
                log.exception("the writer failed")
                _fail(group, StoreError(f"database: {error}"))
                return

    def _attempt(self, group: list[_Work]) -> None:
        try:
            self._transact(group, together=True)
        except _NotTogether as error:
            log.warning("what waited together is done one by one", exc_info=error.__cause__)
            self._transact(group, together=False)

    def _transact(self, group: list[_Work], *, together: bool) -> None:
        self.database.check_present()
        with self.database.turn(), self.database.engine.connect() as connection, connection.begin():
            self.database.clock.tend(connection)
            if not self.database.is_sqlite:
                _lock(connection, group)
            for work in self._settle_cases(connection, group) if together else group:
                _run_one(connection, work)

    def _settle_cases(self, connection: Connection, group: list[_Work]) -> list[_Work]:
        """Settle cases together as far as possible; return the work that must be run one by one.

        Raises _NotTogether where that failed. This comes first in its transaction, which is rolled back then.
        """
        cases = [work for work in group if work.case is not None]
        if not cases or self.together is None:
            return group
        try:
            results = self.together(connection, [work.case for work in cases])
        except Exception as error:
            if is_outage(error) or is_clash(error):
                raise
            raise _NotTogether from error
        settled = set()
        for work, result in zip(cases, results, strict=True):
            if result is not None:
                work.result, work.error = (None, result) if isinstance(result, Exception) else (result, None)
                settled.add(id(work))
        return [work for work in group if id(work) not in settled]


def _lock(connection: Connection, group: list[_Work]) -> None:
    """Take the locks of the whole group in one order, so that two groups never wait for each other in a circle."""
    names = sorted({name for work in group for name in work.locks})
    if names:
        taking = "SELECT pg_advisory_xact_lock(name) FROM unnest(CAST(:names AS bigint[])) AS name"
        connection.execute(text(taking), {"names": names})


def _run_one(connection: Connection, work: _Work) -> None:
    """Run work in a savepoint; only an outage of the database ends the whole group."""
    work.result, work.error = None, None
    savepoint(connection, "SAVEPOINT work")
    try:
        result = work.function(connection)
    except SQLAlchemyError as error:
        if is_outage(error) or is_clash(error):
            raise
        _take_back(connection)
        work.error = translate(error)
    except Exception as error:
        _take_back(connection)
        work.error = error
    else:
        _end(connection, work, result)


def _end(connection: Connection, work: _Work, result: Any) -> None:
    if isinstance(result, Undo):
        _take_back(connection)
        work.result = result.result
    else:
        savepoint(connection, "RELEASE SAVEPOINT work")
        work.result = result


def _take_back(connection: Connection) -> None:
    savepoint(connection, "ROLLBACK TO SAVEPOINT work")
    savepoint(connection, "RELEASE SAVEPOINT work")


def _fail(group: list[_Work], error: StoreError) -> None:
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
