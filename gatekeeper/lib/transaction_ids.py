"""Make the ids by which the log and trace header fields name a transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

_ALL = (1 << 48) - 1
_STEP = 0x9E37_79B9_7F4B  # odd, so that every number comes once before any comes again


def transaction_ids() -> Iterator[str]:
    """Yield ids of twelve hexadecimal digits, without end.

    One process never repeats an id; two processes have the same id only by chance. A random start is enough for that,
    and spares each message a system call.
    """
    number = secrets.randbits(48)
    while True:
        yield f"{number:012x}"
        number = (number + _STEP) & _ALL
