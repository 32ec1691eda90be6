"""Hide a visible list of recipients, where a rule says `repair: blind` (C9).

No other code of the gate changes a message.

To becomes `undisclosed-recipients:;` and Cc is removed; no other octet is changed. A signature that covers To or Cc, as
DKIM's does (RFC 6376 5.4.1), no longer verifies, so mail must be signed behind the gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

HIDDEN = b"To: undisclosed-recipients:;\r\n"
_LIST = re.compile(rb"^(to|cc)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)
_HEADER_END = b"\r\n\r\n"


def hide_recipients(chunks: Sequence[bytes]) -> list[bytes]:
    """Return the message with its visible list hidden. Args: `chunks` are the message, cut anywhere."""
    head, *rest = chunks or (b"",)
    if _HEADER_END not in head and not head.startswith(b"\r\n"):  # rare: the header is larger than the first chunk
        head, rest = b"".join((head, *rest)), []
    end = _end_of_header(head)
    return [_hidden(head[:end]) + head[end:], *rest]


def _hidden(header: bytes) -> bytes:
    """Return the header with one To in the place of the first To or Cc; unchanged where it has neither."""
    first = _LIST.search(header)
    if first is None:
        return header
    return header[: first.start()] + HIDDEN + _LIST.sub(b"", header[first.start() :])


def _end_of_header(head: bytes) -> int:
    if head.startswith(b"\r\n"):
        return 0
    end = head.find(_HEADER_END)
    return len(head) if end < 0 else end + 2


def shown_fields(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the To and Cc fields as a milter removes them: the name and its occurrence from 1, the last one first."""
    seen: dict[bytes, int] = {}
    for field in _LIST.finditer(content, 0, _end_of_header(content)):
        name = field[1].title()
        seen[name] = seen.get(name, 0) + 1
    for name, number in seen.items():
        yield from ((name, place) for place in range(number, 0, -1))
