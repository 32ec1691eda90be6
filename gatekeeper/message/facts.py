"""Read the facts of a message: header, structure, texts, files and links, then what follows from these."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from gatekeeper.message import text_parts
from gatekeeper.message.address_fields import AddressList, is_address, read_addresses
from gatekeeper.message.attachments import as_attachments, find_files
from gatekeeper.message.author_doubts import may_show_another
from gatekeeper.message.auto_reply import answered, is_automatic
from gatekeeper.message.content_digest import digests
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.files_in_markup import files_in_markup
from gatekeeper.message.headers import Header, text_of, unstructured, uris
from gatekeeper.message.limits import Limits
from gatekeeper.message.links import read_links, shown_content_ids
from gatekeeper.message.mime_tree import Structure, read_structure
from gatekeeper.message.part_fields import IDENTITY
from gatekeeper.message.short_key import short_key
from gatekeeper.message.subject import subject_key
from gatekeeper.message.text_keys import read_texts
from gatekeeper.message.text_normalisation import fold, visible
from gatekeeper.message.uuencode import inserted_files, may_hold_files
from gatekeeper.model import Attachment, Facts, Mailbox

_DUPLICATES = {  # RFC 5322 3.6: at most once
    "from": "duplicate-from",
    "sender": "duplicate-from",
    "subject": "duplicate-subject",
    "to": "duplicate-recipients",
    "cc": "duplicate-recipients",
    "bcc": "duplicate-recipients",
    "message-id": "duplicate-field",
    "date": "duplicate-field",
    "reply-to": "duplicate-field",
    "in-reply-to": "duplicate-field",
    "references": "duplicate-field",
}
_SENDING = ("from", "sender", "resent-from", "resent-sender")
_LONGEST_KNOWN = 200  # octets; longer address fields are not cached. A field has fewer mailboxes than octets
_IN_BRACKETS = re.compile(r"<([^<>]*)>")


def read_facts(content: bytes, limits: Limits = Limits()) -> Facts:  # noqa: B008 - immutable
    """Read what a message says about itself. Never raises, whatever the octets.

    Time is linear in the size, within `limits`. Content over a limit, or content that can be read in two ways, is noted
    in `Facts.defects` by a name of `DEFECTS`.

    Args: `content` is a whole message with CRLF or LF line ends.
    """
    defects = DefectCollector()
    structure = read_structure(content, limits, defects)
    header = structure.root.header
    texts = text_parts.read_text_parts(content, structure.parts, limits, defects)
    author, sender = _people(header, "from", limits, defects), _people(header, "sender", limits, defects)
    resent = _people(header, "resent-from", limits, defects) + _people(header, "resent-sender", limits, defects)
    to, cc, bcc = (_people(header, name, limits, defects) for name in ("to", "cc", "bcc"))
    _check_header(header, author, sender, defects)
    subject = _subject(header, defects)
    digest = digests(content, header, _body_start(structure, limits))
    defects.add_if(digest.bare_cr, "bare-cr")
    files = find_files(content, structure, shown_content_ids(texts), defects)
    links = read_links(texts, defects)
    inserted = _inserted(content, structure, texts, limits, defects)
    attachments = (*as_attachments(files), *inserted, *files_in_markup(links.with_files, limits, defects))
    said = read_texts(texts, limits.sample)
    automatic = is_automatic(content, structure, header, len(to) + len(cc))
    return Facts(
        size=len(content),
        author=author,
        sender=sender,
        resent=resent,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=subject,
        message_id=_identifier(header, "message-id"),
        list_id=(_identifier(header, "list-id") or "").lower() or None,
        unsubscribe=uris(header, "list-unsubscribe"),
        one_click=_joined(header, "list-unsubscribe-post").strip().lower() == "list-unsubscribe=one-click",
        attachments=attachments,
        tnef=any(file.is_tnef for file in files),
        links=links.hosts,
        defects=defects.found,
        automatic=automatic,
        answers=answered(content, structure, header) if automatic else (),
        received=len(header.all("received")),
        content_digest=digest.content,
        copy_digest=digest.copy,
        subject_key=subject_key(subject),
        fingerprints=said.fingerprints,
        short_key=short_key(content, structure, texts, files, said),
    )


def _body_start(structure: Structure, limits: Limits) -> int:
    """Return the offset at which the body starts.

    What is cut off a header over the limit counts as body, so that it counts.
    """
    return min(structure.root.start, limits.header_bytes)


def _people(header: Header, name: str, limits: Limits, defects: DefectCollector) -> tuple[Mailbox, ...]:
    """Return the mailboxes of all fields of that name: of two From fields nobody knows which one is shown."""
    values = header.all(name)
    if not values:
        return ()
    found: list[Mailbox] = []
    for value in values:
        room = limits.addresses - len(found)
        if len(value) <= min(_LONGEST_KNOWN, room):
            read, noted = _known_people(value, name in _SENDING)
        else:
            read, noted = _read_people(value, name in _SENDING, room)
        defects.update(noted)
        _note_addresses(name, read, defects)
        found += read.mailboxes
    return tuple(found)


@lru_cache(maxsize=4_096)
def _known_people(value: bytes, sending: bool) -> tuple[AddressList, tuple[str, ...]]:
    """Return the mailboxes of a short field and its defects. Cached, because short fields come again often."""
    return _read_people(value, sending, _LONGEST_KNOWN)


def _read_people(value: bytes, sending: bool, room: int) -> tuple[AddressList, tuple[str, ...]]:
    defects = DefectCollector()
    text = text_of(value, defects)
    read = read_addresses(text, room, lambda phrase: decode_words(phrase, defects))
    if sending:
        are_addresses = all(is_address(box.address) for box in read.mailboxes)
        in_doubt = not are_addresses or may_show_another(text, read) or _is_guessed(read, defects)
        defects.add_if(in_doubt, "malformed-from")
    return read, defects.found


def _is_guessed(read: AddressList, defects: DefectCollector) -> bool:
    """Return True where the octets of a name may stand for an address that the gate does not see."""
    if "unknown-charset" in defects:
        return True
    guessed = "undecodable-text" in defects or "undecodable-header" in defects
    return guessed and any("@" in box.name for box in read.mailboxes)


def _note_addresses(name: str, read: AddressList, defects: DefectCollector) -> None:
    defects.add_if(read.over_limit, "too-many-addresses")
    defects.add_if(read.grouped and name in _SENDING, "group-in-from")
    defects.add_if(read.malformed, "malformed-from" if name in _SENDING else "malformed-recipients")


def _check_header(
    header: Header, author: tuple[Mailbox, ...], sender: tuple[Mailbox, ...], defects: DefectCollector
) -> None:
    for name in header.repeated(_DUPLICATES.keys()):
        defects.add(_DUPLICATES[name])
    defects.add_if(not any(header.all("from")), "missing-from")
    defects.add_if(any(header.all("from")) and not author, "malformed-from")
    if "duplicate-from" not in defects:
        defects.add_if(len(author) > 1 and not sender, "several-authors")  # RFC 5322 3.6.2
        defects.add_if(len(sender) > 1, "malformed-from")


def _subject(header: Header, defects: DefectCollector) -> str | None:
    """Return the text of the first Subject field; None where nothing in it is visible."""
    value = header.first("subject")
    text = unstructured(value, defects).strip() if value else ""
    if text.isascii() and text.isprintable():
        return text or None
    return text if fold(visible(text)[:1000]) else None


def _joined(header: Header, name: str) -> str:
    return ",".join(value.decode("latin-1") for value in header.all(name))


def _identifier(header: Header, name: str) -> str | None:
    """Return the text in angle brackets, else the whole value; None where there is no such field."""
    value = (header.first(name) or b"").decode("utf-8", "replace").strip()
    bracketed = _IN_BRACKETS.search(value)
    return (bracketed[1] if bracketed else value).strip() or None


def _inserted(
    content: bytes,
    structure: Structure,
    texts: tuple[text_parts.TextPart, ...],
    limits: Limits,
    defects: DefectCollector,
) -> tuple[Attachment, ...]:
    """Return the files inside texts, and before and after the parts of a multipart, where old programs look too."""
    places = [(content, *gap) for gap in structure.gaps]
    for text in texts:
        plain = text.part.encoding in IDENTITY
        places.append((content, text.part.start, text.part.end) if plain else (text.octets, 0, len(text.octets)))
    files: list[Attachment] = []
    for place in places:
        if may_hold_files(*place):
            room = max(0, limits.parts - len(files)) + 1
            files += islice(inserted_files(*place, limits, defects), room)
    defects.add_if(len(files) > limits.parts, "too-many-parts")
    return tuple(files)
