"""A message as facts, read downward: header, structure, texts, files, links; then what follows from them."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from gatekeeper.message import text_parts
from gatekeeper.message.address_fields import AddressList, is_address, read_addresses
from gatekeeper.message.attachments import read_attachments
from gatekeeper.message.auto_reply import answered, is_automatic
from gatekeeper.message.content_digest import content_digest
from gatekeeper.message.defects import Notebook
from gatekeeper.message.encoded_words import decode_words
from gatekeeper.message.fingerprint import text_fingerprints
from gatekeeper.message.headers import Header, text_of, unstructured
from gatekeeper.message.limits import Limits
from gatekeeper.message.links import linked_hosts, shown_content_ids
from gatekeeper.message.mime_tree import IDENTITY, Structure, read_structure
from gatekeeper.message.subject import subject_key
from gatekeeper.message.text_normalisation import fold
from gatekeeper.message.uuencode import inserted_files
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
_RESENT = ("resent-from", "resent-sender")
_SENDING = ("from", "sender", *_RESENT)
_LONGEST_KNOWN = 200  # octets of an address field that is remembered; it has fewer mailboxes than that
_URI = re.compile(r"<([^<>]{1,2000})>")
_IN_BRACKETS = re.compile(r"<([^<>]*)>")


def read_facts(content: bytes, limits: Limits = Limits()) -> Facts:  # noqa: B008 - immutable
    """What a message (CRLF or LF line ends) says about itself. Never raises, whatever the octets.

    Time is linear in the size under `limits`; what is over one of them, or can be read in two ways, is among
    `defects`, which are names of `DEFECTS`.
    """
    notebook = Notebook()
    structure = read_structure(content, limits, notebook)
    header = structure.root.header
    texts = text_parts.read_texts(content, structure.parts, limits, notebook)
    author, sender = _people(header, "from", limits, notebook), _people(header, "sender", limits, notebook)
    resent = tuple(box for name in _RESENT for box in _people(header, name, limits, notebook))
    to, cc, bcc = (_people(header, name, limits, notebook) for name in ("to", "cc", "bcc"))
    _check_header(header, author, sender, notebook)
    subject = _subject(header, notebook)
    digest, bare_cr = content_digest(content, header, _body_start(structure, limits))
    notebook.note_if(bare_cr, "bare-cr")
    attachments = tuple(read_attachments(content, structure, shown_content_ids(texts), notebook))
    attachments += _inserted(content, structure, texts, limits, notebook)
    links = linked_hosts(texts, notebook)
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
        unsubscribe=tuple(uri.strip() for uri in _URI.findall(_joined(header, "list-unsubscribe"))),
        one_click=_joined(header, "list-unsubscribe-post").strip().lower() == "list-unsubscribe=one-click",
        attachments=attachments,
        links=links,
        defects=notebook.noted,
        automatic=automatic,
        answers=answered(content, structure, header) if automatic else (),
        received=len(header.all("received")),
        content_digest=digest,
        subject_key=subject_key(subject),
        fingerprints=text_fingerprints(texts, limits.sample),
    )


def _body_start(structure: Structure, limits: Limits) -> int:
    """What is cut off a header that is over the limit must count too, hence as body."""
    return min(structure.root.start, limits.header_bytes)


def _people(header: Header, name: str, limits: Limits, notebook: Notebook) -> tuple[Mailbox, ...]:
    """Mailboxes of all fields of a name: of two From fields nobody knows which one is shown."""
    found: list[Mailbox] = []
    for value in header.all(name):
        room = limits.addresses - len(found)
        if len(value) <= min(_LONGEST_KNOWN, room):
            read, noted = _known_people(value)
            notebook.take(noted)
        else:
            read = _read_people(value, room, notebook)
        _note_addresses(name, read, notebook)
        found += read.mailboxes
    return tuple(found)


@lru_cache(maxsize=4_096)
def _known_people(value: bytes) -> tuple[AddressList, tuple[str, ...]]:
    """Mailboxes of a short field, which often comes again, and the defects found on the way."""
    notebook = Notebook()
    return _read_people(value, _LONGEST_KNOWN, notebook), notebook.noted


def _read_people(value: bytes, room: int, notebook: Notebook) -> AddressList:
    return read_addresses(text_of(value, notebook), room, lambda phrase: decode_words(phrase, notebook))


def _note_addresses(name: str, read: AddressList, notebook: Notebook) -> None:
    notebook.note_if(read.over_limit, "too-many-addresses")
    notebook.note_if(read.grouped and name in _SENDING, "group-in-from")
    notebook.note_if(read.malformed, "malformed-from" if name in _SENDING else "malformed-recipients")


def _check_header(header: Header, author: tuple[Mailbox, ...], sender: tuple[Mailbox, ...], notebook: Notebook) -> None:
    for name in header.repeated(_DUPLICATES.keys()):
        notebook.note(_DUPLICATES[name])
    notebook.note_if(not any(header.all("from")), "missing-from")
    notebook.note_if(any(header.all("from")) and not author, "malformed-from")
    notebook.note_if(not all(is_address(box.address) for box in author + sender), "malformed-from")
    if "duplicate-from" not in notebook:
        notebook.note_if(len(author) > 1 and not sender, "several-authors")  # RFC 5322 3.6.2
        notebook.note_if(len(sender) > 1, "malformed-from")


def _subject(header: Header, notebook: Notebook) -> str | None:
    """The first Subject; None where nothing of it can be seen."""
    value = header.first("subject")
    text = unstructured(value, notebook).strip() if value else ""
    return text if fold(text[:1000]) else None


def _joined(header: Header, name: str) -> str:
    return ",".join(value.decode("latin-1") for value in header.all(name))


def _identifier(header: Header, name: str) -> str | None:
    """What stands in angle brackets, else the whole value; None where there is no such field."""
    value = (header.first(name) or b"").decode("utf-8", "replace").strip()
    bracketed = _IN_BRACKETS.search(value)
    return (bracketed[1] if bracketed else value).strip() or None


def _inserted(
    content: bytes,
    structure: Structure,
    texts: tuple[text_parts.Text, ...],
    limits: Limits,
    notebook: Notebook,
) -> tuple[Attachment, ...]:
    """Files inside texts, and where old mail programs look too: before and after the parts of a multipart."""
    places = [(content, *gap) for gap in structure.gaps]
    for text in texts:
        plain = text.part.encoding in IDENTITY
        places.append((content, text.part.start, text.part.end) if plain else (text.octets, 0, len(text.octets)))
    files: list[Attachment] = []
    for place in places:
        room = max(0, limits.parts - len(files)) + 1
        files += islice(inserted_files(*place, limits, notebook), room)
    notebook.note_if(len(files) > limits.parts, "too-many-parts")
    return tuple(files)
