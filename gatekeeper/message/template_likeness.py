"""Read what the varying copies of a template have in common: all shown texts, links, files, styles."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from gatekeeper.address import normalise
from gatekeeper.message.address_fields import read_addresses
from gatekeeper.message.attachments import find_files
from gatekeeper.message.calendars import unfolded
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.headers import Header, text_of, uris
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import Structure, read_structure
from gatekeeper.message.template_links import link_of
from gatekeeper.message.template_words import MOST_WORDS, ShownText, html_text, plain_text
from gatekeeper.message.text_parts import TextPart, read_text_parts
from gatekeeper.model import Likeness, TextLikeness

_LIMITS = Limits()
_MOST_NAMED = 2_000  # links and tokens of one message
_MACHINES = frozenset({"multipart/signed", "multipart/encrypted", "multipart/report"})
_OVER_LIMIT = frozenset({"text-over-limit", "too-many-parts", "too-deep", "header-over-limit"})


def read_likeness(content: bytes, limits: Limits = _LIMITS) -> Likeness:
    """Read a whole message for comparison with its like. Time is linear in its size, within `limits`."""
    defects = DefectCollector()
    structure = read_structure(content, limits, defects)
    parts = read_text_parts(content, structure.parts, limits, defects)
    texts = [*_shown(parts), *_between(content, structure)]
    links = frozenset[str]().union(_of_header(structure.root.header, limits), *(text.links for _, text in texts))
    tokens = frozenset[str]().union(*(text.tokens for _, text in texts))
    return Likeness(
        texts=tuple(TextLikeness(type, text.words, text.spelled) for type, text in texts),
        links=links,
        attachments=frozenset(_files(content, structure, {id(text.part) for text in parts}, defects)),
        tokens=tokens,
        styles=_digest("\n".join(text.styles for _, text in texts).strip().encode("utf-8", "replace")),
        defects=frozenset(defects.found),
        whole=all(text.whole for _, text in texts)
        and len(links) + len(tokens) <= _MOST_NAMED
        and _OVER_LIMIT.isdisjoint(defects.found),
    )


def _shown(parts: tuple[TextPart, ...]) -> Iterator[tuple[str, ShownText]]:
    """Yield the type of each shown part and what it says; together at most so many words as are read of a message."""
    room = MOST_WORDS
    for part in parts:
        text = html_text(part.text, room) if part.is_html else plain_text(_unfolded(part), room)
        room -= len(text.spelled)
        yield part.part.type, text


def _unfolded(part: TextPart) -> str:
    """Return the text; that of an invitation with its lines as they are read (RFC 5545 3.1)."""
    return unfolded(part.text) if part.part.type == "text/calendar" else part.text


def _between(content: bytes, structure: Structure) -> Iterator[tuple[str, ShownText]]:
    """Yield what stands before and after the parts of multiparts, which programs without MIME show."""
    octets = b"\n".join(content[start:end] for start, end in structure.gaps)
    if not octets.isspace() and octets:
        yield "between the parts", plain_text(octets.decode("utf-8", "replace"), MOST_WORDS)


def _files(content: bytes, structure: Structure, shown: set[int], defects: DefectCollector) -> Iterator[str]:
    """Yield all that is no shown text: files, and pictures that the text shows; but no signatures, which vary."""
    named = {id(file.part): file.name for file in find_files(content, structure, frozenset(), defects)}
    for part in structure.parts:
        if id(part) in named:
            yield f"{named[id(part)]} {part.type} {_digest(content[part.start : part.end])}"
        elif not part.children and id(part) not in shown and part.within not in _MACHINES:
            yield f" {part.type} {_digest(content[part.start : part.end])}"


def _of_header(header: Header, limits: Limits) -> frozenset[str]:
    """Return where answers and those who unsubscribe are led; of the latter the host, because the rest varies."""
    replies = (read_addresses(text_of(value, DefectCollector()), _MOST_NAMED) for value in header.all("reply-to"))
    found = {f"reply-to:{normalise(box.address)}" for read in replies for box in read.mailboxes}
    links = (link for uri in uris(header, "list-unsubscribe") for link in link_of(uri))
    return frozenset(found | {f"unsubscribe:{link.partition('/')[0].rpartition('@')[2]}" for link in links})


def _digest(octets: bytes) -> str:
    return blake2b(octets, digest_size=16).hexdigest() if octets else ""
