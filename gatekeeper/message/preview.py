"""Read a message for people who decide about it: who it says it is from, what it says, links, files, defects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from hashlib import sha256

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.attachments import FoundFile, find_files
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.facts import read_facts
from gatekeeper.message.limits import Limits
from gatekeeper.message.links import shown_content_ids
from gatekeeper.message.mime_tree import Structure, read_structure
from gatekeeper.message.shown_links import ShownLink, shown_links
from gatekeeper.message.shown_text import READ, all_text, shown_text
from gatekeeper.message.template_links import urls_in
from gatekeeper.message.text_parts import TextPart, read_text_parts
from gatekeeper.message.transfer_encoding import decoded
from gatekeeper.model import Facts

_LIMITS = Limits()
_OPENING = 20_000  # characters of text that a notice may quote from
_WHOLE = 1_000_000
_LED_TO = ("href", "action", "formaction")  # attributes of HTML that lead somewhere when somebody clicks
_CALENDAR = "text/calendar"
_LINKS_NAMED = 1_000


@immutable
class Opening:
    """The facts of a message, and how the text begins that most mail programs show of it."""

    facts: Facts
    text: str


@immutable
class ShownPart:
    """A text part as mail programs show it; HTML without tags, hidden text left out."""

    type: str  # "text/html"
    text: str
    is_cut: bool = False  # there is more of it than the gate reads
    hidden: str = ""  # all of its text, where some of it is not shown; "" where nobody asked


@immutable
class FilePart:
    """A file of a message."""

    name: str
    type: str
    size: int
    digest: str  # hex SHA-256 of its octets once decoded; "" for a file that lies inside a text


@immutable
class Contents:
    """All that a message shows: facts, texts, links as they are written, files."""

    facts: Facts
    texts: tuple[ShownPart, ...] = field(repr=False)
    links: tuple[str, ...]
    files: tuple[FilePart, ...]
    shown_links: tuple[ShownLink, ...] = ()  # what links say, and where they lead


def read_opening(content: bytes) -> Opening:
    """Read the facts and the beginning of the text. Never raises, whatever the octets; linear in the size.

    Where a message has a text in plain and in HTML, the HTML counts: it is what mail programs show.
    """
    _, parts = _read(content)
    shown = (_shown(part, _OPENING) for part in _displayed(parts))
    text = "\n\n".join(each for each in shown if each.strip())
    plain = "" if text.strip() else "\n\n".join(part.text for part in parts if not part.is_html)
    return Opening(read_facts(content), (text or plain)[:_OPENING])


def read_contents(content: bytes, *, hidden: bool = False) -> Contents:
    """Read all that a message shows. Never raises, whatever the octets; linear in the size.

    Args: `hidden` reads the text that HTML has and does not show, too.
    """
    facts, (structure, parts) = read_facts(content), _read(content)
    texts = tuple(_part(part, hidden) for part in parts)
    links = dict.fromkeys(url for part in parts for url in urls_in(_with_links(part)))
    files = tuple(_files(content, structure, parts, facts))
    return Contents(facts, texts, tuple(links)[:_LINKS_NAMED], files, shown_links(parts))


def file_octets(content: bytes, place: int) -> bytes | None:
    """Return the octets of a file of a message, once decoded; None where there is no such file by itself.

    Args: `place` counts from 1, in the order of `Contents.files`; files that lie inside a text come last, without any.
    """
    found = _find_files(content, *_read(content))
    if not 1 <= place <= len(found):
        return None
    return _octets(content, found[place - 1])


def _read(content: bytes) -> tuple[Structure, tuple[TextPart, ...]]:
    """Return the parts of a message and its texts. Its defects are those of its facts."""
    structure = read_structure(content, _LIMITS, DefectCollector())
    return structure, read_text_parts(content, structure.parts, _LIMITS, DefectCollector())


def _find_files(content: bytes, structure: Structure, parts: Iterable[TextPart]) -> tuple[FoundFile, ...]:
    return find_files(content, structure, shown_content_ids(parts), DefectCollector())


def _displayed(parts: Iterable[TextPart]) -> list[TextPart]:
    """Return the parts that most programs show: of alternatives not the plain one, and no invitation's data."""
    found = [part for part in parts if part.part.type != _CALENDAR] or list(parts)
    if any(part.is_html for part in found):
        return [part for part in found if part.is_html or part.part.within != "multipart/alternative"]
    return found


def _shown(part: TextPart, most: int) -> str:
    return shown_text(part.text, most) if part.is_html else part.text[:most]


def _with_links(part: TextPart) -> str:
    return shown_text(part.text, _WHOLE, _LED_TO) if part.is_html else part.text[:_WHOLE]


def _part(part: TextPart, hidden: bool) -> ShownPart:
    text = _shown(part, _WHOLE)
    is_cut = len(text) > _WHOLE or (part.is_html and len(part.text) > READ[-1])
    return ShownPart(part.part.type, text[:_WHOLE], is_cut, _hidden(part, text) if hidden and part.is_html else "")


def _hidden(part: TextPart, shown: str) -> str:
    """Return all of the text of HTML where some of it is not shown."""
    whole = all_text(part.text)[:_WHOLE]
    return whole if set(whole.split()) - set(shown.split()) else ""


def _files(content: bytes, structure: Structure, parts: Iterable[TextPart], facts: Facts) -> Iterator[FilePart]:
    found = _find_files(content, structure, parts)
    yield from (FilePart(file.name, file.part.type, file.size, _digest(content, file)) for file in found)
    known = {(file.name, file.part.type, file.size) for file in found}
    beside = (each for each in facts.attachments if (each.name, each.type, each.size) not in known)
    yield from (FilePart(each.name, each.type, each.size, "") for each in beside)


def _digest(content: bytes, file: FoundFile) -> str:
    return sha256(_octets(content, file)).hexdigest()


def _octets(content: bytes, file: FoundFile) -> bytes:
    part = file.part
    raw = content[part.start : part.end]
    return raw if part.is_message else decoded(raw, part.encoding)
