"""Names of transactions in the log and in trace fields."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

_ALL = (1 << 48) - 1
_STEP = 0x9E37_79B9_7F4B  # odd, so that every number comes once before the first comes again


def transaction_ids() -> Iterator[str]:
    """Twelve hexadecimal digits, without end: none twice in a process, and of two processes no more than by chance.

    A random start is enough for that, and costs each message no call of the kernel.
    """
    number = secrets.randbits(48)
    while True:
        yield f"{number:012x}"
        number = (number + _STEP) & _ALL
