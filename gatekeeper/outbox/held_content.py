"""Reads what is held of a mailing for the people who decide: authors, files, links, and how the text begins.

All of this was written by senders. A field is one line, cut, with marks for characters that nobody sees; each line of
the text begins with a bar, so that no message can write a sentence of the gate's into a notice.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.marks import marked, marked_line
from gatekeeper.message.preview import Opening, read_opening
from gatekeeper.model import Attachment, Mailbox
from gatekeeper.store import Connection, reminders
from gatekeeper.store.batches import read_body
from gatekeeper.store.requests import RequestView

LOOKED_AT = 20  # messages of different content that are read: all of many would delay other notices
_NAMED = 5  # files and authors
_HOSTS = 10
_NAME = 80  # characters of a name, a host or an address
_WIDTH = 72
_BAR = "| "


@immutable
class HeldContent:
    """What the messages of a mailing contain, as far as they were read."""

    authors: tuple[Mailbox, ...] = ()  # of all From fields
    attached: tuple[Attachment, ...] = ()
    hosts: tuple[str, ...] = ()  # that texts link to
    text: str = ""  # of the first message, its beginning
    looked: int = 1  # messages of different content
    messages: int = 1


def content_of(openings: Sequence[Opening], messages: int) -> HeldContent | None:
    """Return what these messages contain; None where none was read. Args: `messages` are how many there are."""
    if not openings:
        return None
    facts = [each.facts for each in openings]
    return HeldContent(
        authors=tuple(dict.fromkeys(box for each in facts for box in each.author)),
        attached=tuple(dict.fromkeys(file for each in facts for file in each.attachments)),
        hosts=tuple(sorted({host for each in facts for host in each.links})),
        text=openings[0].text,
        looked=len(openings),
        messages=messages,
    )


def read_content(connection: Connection, key: int) -> HeldContent | None:
    """Read what is held of a mailing; takes long for large messages, so it is for commands."""
    bodies = reminders.bodies_of(connection, key)
    return content_of([read_opening(read_body(connection, body)) for body in bodies[:LOOKED_AT]], len(bodies))


def request_content(connection: Connection, request: RequestView) -> HeldContent | None:
    """Read the message that a request is bound to; None where it has none."""
    bound = request.draft.content
    return content_of([read_opening(read_body(connection, bound.body))], 1) if bound else None


# -- in words ----------------------------------------------------------------------------------------------------


def content_lines(content: HeldContent) -> dict[str, str]:
    """Return labels and values that a notice shows of the content; a value is one line."""
    hosts = [marked_line(host, _NAME) for host in content.hosts]
    return {
        "From": _listed([_mailbox(box) for box in content.authors], _NAMED) or "(nobody)",
        "Files": _of_all(_listed([_file(each) for each in content.attached], _NAMED) or "none", content),
        "Links to": _of_all(_listed(hosts, _HOSTS) or "nothing", content),
    }


def excerpt(content: HeldContent, lines: int) -> str:
    """Return the first lines of the text, each behind a bar; "" where `lines` is 0."""
    if not lines:
        return ""
    found, more = _first_lines(marked(content.text.replace("\r", "")), lines)
    shown = [f"{_BAR}{line}".rstrip() for line in found] or [f"{_BAR}(no text)"]
    return "\n".join([*shown, *([f"{_BAR}[...]"] if more else [])])


def _first_lines(text: str, most: int) -> tuple[list[str], bool]:
    """Return at most so many lines of the text, folded, and whether there is more; empty lines stand alone."""
    found: list[str] = []
    for paragraph in text.expandtabs(4).split("\n"):
        line = paragraph.strip()
        if not line and (not found or not found[-1]):
            continue
        found += textwrap.wrap(line, _WIDTH) or [""]
        if len(found) > most:
            return found[:most], True
    while found and not found[-1]:
        found.pop()
    return found, False


def _of_all(words: str, content: HeldContent) -> str:
    """Return the words, with in how many messages was looked where that is not all."""
    if content.looked >= content.messages:
        return words
    return f"{words} (in the first {content.looked} of {content.messages:,} different messages)"


def _mailbox(box: Mailbox) -> str:
    address = f"<{marked_line(box.address, _NAME)}>"
    return f'"{marked_line(box.name, _NAME)}" {address}' if box.name.strip() else address


def _file(file: Attachment) -> str:
    return f"{marked_line(file.name, _NAME) or file.type} ({octets_text(file.size)})"


def octets_text(number: int) -> str:
    """Return a size: `4 kB`."""
    return f"{number / 1_048_576:.1f} MB" if number >= 1_048_576 else f"{max(1, round(number / 1024))} kB"


def _listed(texts: Iterable[str], most: int) -> str:
    """Return the first texts, and how many more there are."""
    named = list(texts)
    left = len(named) - most
    return ", ".join([*named[:most], f"{left:,} more"] if left > 0 else named)
