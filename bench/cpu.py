"""CPU time and memory of processes, as the kernel counts them in /proc."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(process: int) -> list[int]:
    """A process and all that descend from it."""
    found, waiting = [], [process]
    while waiting:
        found.append(waiting.pop())
        with suppress(OSError):
            waiting += map(int, Path(f"/proc/{found[-1]}/task/{found[-1]}/children").read_text().split())
    return found


def seconds(process: int) -> float:
    """CPU seconds that a process, its children, and those of them that have ended have taken."""
    return sum(map(_own, tree(process)))


def _own(process: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, and those of children that were waited for
    return 0.0


def megabytes(process: int, kind: str = "Rss") -> float:
    """Memory of a process and its children: "Rss", or "Anonymous", which is what no file backs."""
    return sum(_megabytes(each, kind) for each in tree(process))


def _megabytes(process: int, kind: str) -> float:
    with suppress(OSError):
        found = re.search(rf"^{kind}: +(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0
    return 0.0
