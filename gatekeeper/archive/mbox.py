"""Messages as an mbox (mboxrd): lines that begin with From, quoted or not, get one > more, so that it can be undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

_FROM = re.compile(rb">*From ")
_LONGEST = 1 << 20  # octets of a line that is put together again; of a longer one the begin is what counts


def mbox_entry(sender: str, received: datetime, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a message as an entry of an mbox. Args: `received` in UTC; `chunks` are its octets, with CRLF."""
    who = sender.encode("utf-8", "backslashreplace").replace(b" ", b"_") or b"MAILER-DAEMON"
    yield b"From " + who + f" {received:%a %b %d %H:%M:%S %Y}\n".encode()
    last = b"\n"
    for piece in _quoted(chunks):
        yield piece
        last = piece[-1:] or last
    yield b"\n" if last == b"\n" else b"\n\n"


def _quoted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest, is_begin = b"", True
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _line(line, is_begin) + b"\n"
            is_begin = True
        if len(rest) > _LONGEST:
            yield _line(rest[:-1], is_begin)
            rest, is_begin = rest[-1:], False
    if rest:
        yield _line(rest, is_begin)


def _line(line: bytes, is_begin: bool) -> bytes:
    quoted = b">" + line if is_begin and _FROM.match(line) else line
    return quoted.removesuffix(b"\r")
