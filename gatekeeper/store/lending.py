"""The writer's work, done by the event loop in its stead.

Two threads that run Python take turns at the interpreter, and SQLite's driver gives the turn away at each statement and
each row. Beside a busy loop that costs both of them more than the statements themselves. So the writer lends its
transaction to the loop for the short work of ordinary mail, and keeps what waits for the disk: BEGIN, COMMIT, and all
else. A loop that does not come for it in time, as at the end, and a database whose pages come from a slow disk leave
everything to the writer's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
_COMES_SECONDS = 0.02  # a loop that has not begun by then is busy, or at its end
_LONG_SECONDS = 0.01  # what took longer waited for something: the loop must not
_APART_SECONDS = 1.0  # for which the loop is left alone then


class Lending:
    """Lends work to a loop while that does not keep it for long."""

    def __init__(self) -> None:
        self._apart_until = float("-inf")

    def do(self, loop: asyncio.AbstractEventLoop, work: Callable[[], T]) -> T:
        """Have the loop do the work, or do it here; called from a thread of its own. Raises what the work raises."""
        if time.monotonic() < self._apart_until:
            return work()
        lent: Future[T] = Future()
        try:
            loop.call_soon_threadsafe(self._do_lent, lent, work)
        except RuntimeError:  # it has ended
            return work()
        try:
            return lent.result(_COMES_SECONDS)
        except TimeoutError:
            return work() if lent.cancel() else lent.result()

    def _do_lent(self, lent: Future[T], work: Callable[[], T]) -> None:
        if not lent.set_running_or_notify_cancel():
            return
        began = time.monotonic()
        try:
            lent.set_result(work())
        except BaseException as error:
            lent.set_exception(error)
        now = time.monotonic()
        if now - began > _LONG_SECONDS:
            self._apart_until = now + _APART_SECONDS
