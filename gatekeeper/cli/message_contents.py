"""Print what the messages of a mailing contain; characters that nobody sees are marks, so none reaches the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatekeeper.ledger.service import Reading
from gatekeeper.lib.marks import marked, marked_line
from gatekeeper.message import DEFECTS
from gatekeeper.message.preview import Contents
from gatekeeper.model import Mailbox
from gatekeeper.store.batch_views import BatchView

_FIELD = 200  # characters of a name, a subject or a link
_BOXES = 10  # addresses of a field


def contents_lines(reading: Reading, contents: Sequence[Contents]) -> Iterator[str]:
    """Yield the lines that show the messages."""
    for batch, each in zip(reading.batches, contents, strict=True):
        yield from _message(reading.mailing.id, batch, each)
    if reading.more:
        yield f"{reading.more} more messages of other content: --batch shows one"


def _message(id: str, batch: BatchView, contents: Contents) -> Iterator[str]:
    facts = contents.facts
    yield f"{id} batch {batch.id}: {batch.size} octets"
    for name, boxes in (("From", facts.author), ("Sender", facts.sender), ("To", facts.to), ("Cc", facts.cc)):
        if boxes:
            yield f"{name}: {_boxes(boxes)}"
    yield f"Subject: {marked_line(facts.subject or '', _FIELD) or '(none)'}"
    yield from (f"defect: {DEFECTS[name]} ({name})" for name in facts.defects)
    for part in contents.texts:
        yield f"text, {part.type}:"
        yield from (f"  | {line}".rstrip() for line in marked(part.text.replace("\r\n", "\n")).strip("\n").split("\n"))
        if part.is_cut:
            yield "  | [...] there is more of it than is read here"
    yield from _listed("links", (marked_line(link, _FIELD) for link in contents.links))
    files = (
        f"{marked_line(file.name, _FIELD) or '(no name)'}, {marked_line(file.type, _FIELD)}, {file.size:,} octets, "
        + (f"SHA-256 {file.digest}" if file.digest else "within a text")
        for file in contents.files
    )
    yield from _listed("files", files)


def _listed(label: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield f"{label}:" if found else f"{label}: none"
    yield from (f"  {line}" for line in found)


def _boxes(boxes: Sequence[Mailbox]) -> str:
    shown = [_mailbox(box) for box in boxes[:_BOXES]]
    more = len(boxes) - len(shown)
    return ", ".join([*shown, f"{more:,} more"] if more else shown)


def _mailbox(box: Mailbox) -> str:
    address = marked_line(box.address, _FIELD)
    return f'"{marked_line(box.name, _FIELD)}" <{address}>' if box.name.strip() else address
