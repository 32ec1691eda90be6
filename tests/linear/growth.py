"""How the time of something grows with its input, told by ratios alone: a slow machine is no fault."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import pairwise

FIRST = (8, 16, 64, 256, 1_024)  # for what grows so fast that larger ones would never end
LAST = ((2_048, 8_192), (8_192, 32_768))  # the second where the first is out of proportion: pieces have bounds
MOST = 8.0  # times as long for four times the size: linear is four, a square is sixteen
_SURELY = 12.0  # as long: no need to try larger ones
_BEYOND_ALL = 6.0  # times more than in proportion, from one of the first sizes to the next
_TRIES = (1, 2, 3, 5, 8)  # rounds of each: another process, or a pause of the machine, can spoil some
_LEAST_TICKS = 20_000  # nanoseconds: what is shorter is done again and again, and timed together

Work = Callable[[], object]


def grows_too_fast(make: Callable[[int], Work]) -> str:
    """Time what `make` gives for each size, and say how it grew where it did so by more than its size; else "".

    A single ratio proves nothing, so the last two sizes are timed anew, together, until they are in proportion once.
    """
    for size, larger in pairwise(FIRST):
        least = _least_ratio(make(size), make(larger), _BEYOND_ALL * larger / size)
        if least > _BEYOND_ALL * larger / size:
            return f"{least:.1f} times as long from {size} to {larger}"
    return outgrows(make)


def outgrows(make: Callable[[int], Work]) -> str:
    """As `grows_too_fast`, of what is known to end at large sizes."""
    for sizes in LAST:
        least = _least_ratio(*map(make, sizes), MOST)
        if least <= MOST:
            return ""
        if least > _SURELY:
            break
    return f"{least:.1f} times as long for four times the size"


def _least_ratio(smaller: Work, larger: Work, enough: float) -> float:
    """The least of some ratios, up to one that is small enough."""
    least = float("inf")
    for rounds in _TRIES:
        least = min(least, _ratio(smaller, larger, rounds))
        if least <= enough:
            break
    return least


def _ratio(smaller: Work, larger: Work, rounds: int) -> float:
    """How many times as long the larger one takes: the best of some rounds each, in turns."""
    gc_was_on = gc.isenabled()
    gc.disable()
    try:
        times = [(_nanoseconds(smaller), _nanoseconds(larger)) for _ in range(rounds)]
    finally:
        if gc_was_on:
            gc.enable()
    return min(after for _, after in times) / min(before for before, _ in times)


def _nanoseconds(work: Work) -> float:
    """Processor time of one call, which other processes do not add to."""
    times = 0
    start = time.thread_time_ns()
    while True:
        work()
        times += 1
        spent = time.thread_time_ns() - start
        if spent >= _LEAST_TICKS:
            return spent / times


def doubled(first: str, again: str, last: str) -> Callable[[int], str]:
    """Texts that hold `again` over and over between two others."""
    return lambda size: first + again * (size // len(again)) + last
