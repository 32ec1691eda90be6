"""Which parts a mail program would offer as files.

A file is: what has a name, or the disposition `attachment`, or a type that is not shown as text. Not files:

- the bodies: text without a name (an inline text/calendar invitation is one of them), multipart containers;
- images that the HTML beside them shows by their Content-ID (inline, in one multipart/related);
- the machine-readable parts and the returned message of a multipart/report (RFC 6522);
- a signature in a multipart/signed (RFC 1847), up to 64 KiB, and the control part of a multipart/encrypted;
- messages of a multipart/digest without name and disposition.

Encrypted and TNEF parts are files: the gate cannot see what they hold. A nested message is a file, and so are the files
it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from gatekeeper.message.defects import Notebook
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.transfer_encoding import decoded_size
from gatekeeper.model import Attachment

_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_SIGNATURE_SIZE = 65_536
_REPORT_PARTS = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/global-disposition-notification",
        "message/feedback-report",
        "message/global-headers",
    }
)
_LONGEST_ENDING = 255  # characters, past any file name's
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def read_attachments(
    content: bytes, structure: Structure, shown_ids: frozenset[str], notebook: Notebook
) -> Iterator[Attachment]:
    """The files of a message, in order. `shown_ids` are the Content-IDs that its HTML refers to.

    Of a part with two names of different endings both are given, the second with size 0.
    """
    for part in structure.parts:
        if part.is_multipart and part.children:
            continue
        size = part.end - part.start if part.is_message else _size(content, part, notebook)
        if part.type == "message/partial":
            notebook.note("partial-message")
        names = _names(part, notebook)
        if _is_file(part, names, size, shown_ids):
            yield Attachment(names[0] if names else "", part.type, size)
            yield from (Attachment(name, part.type, 0) for name in names[1:])


def attached_parts(
    content: bytes, structure: Structure, shown_ids: frozenset[str], notebook: Notebook
) -> Iterator[tuple[Part, str]]:
    """The parts that `read_attachments` tells of, with their names."""
    for part in structure.parts:
        if part.is_multipart and part.children:
            continue
        size = part.end - part.start if part.is_message else _size(content, part, notebook)
        names = _names(part, notebook)
        if _is_file(part, names, size, shown_ids):
            yield part, names[0] if names else ""


def _size(content: bytes, part: Part, notebook: Notebook) -> int:
    return decoded_size(content, part.start, part.end, part.encoding, notebook)


def _is_file(part: Part, names: tuple[str, ...], size: int, shown_ids: frozenset[str]) -> bool:
    attached = part.disposition.main == "attachment"
    if _is_machinery(part, size) or (not attached and _is_shown_image(part, shown_ids)):
        return False
    if part.is_message:
        return attached or bool(names) or part.within not in ("multipart/digest", "multipart/report")
    return attached or bool(names) or not (part.type.startswith("text/") or part.is_multipart)


def _is_machinery(part: Part, size: int) -> bool:
    if part.within == "multipart/signed":
        return part.type in _SIGNATURES and size <= _SIGNATURE_SIZE
    if part.within == "multipart/encrypted":
        return part.type == "application/pgp-encrypted" and size <= _SIGNATURE_SIZE
    return part.within == "multipart/report" and part.type in _REPORT_PARTS


def _is_shown_image(part: Part, shown_ids: frozenset[str]) -> bool:
    related = part.within == "multipart/related" and part.type.startswith("image/")
    content_id = (part.header.first("content-id") or b"").decode("latin-1").strip().strip("<>").lower()
    return related and content_id in shown_ids


def _names(part: Part, notebook: Notebook) -> tuple[str, ...]:
    """Names by Content-Disposition, then by Content-Type: the first, and any that ends differently."""
    given = part.disposition.all("filename") + part.content_type.all("name")
    if not given:
        return ()
    names = [name for name in (_clean(value) for value in given) if name]
    endings = {_ending(name): name for name in reversed(names)}
    notebook.note_if(len(endings) > 1, "clashing-names")
    others = [name for name in endings.values() if name != names[0]]
    return (*names[:1], *reversed(others))


def _clean(name: str) -> str:
    return " ".join(_NOT_IN_NAMES.sub("", name).split())


def _ending(name: str) -> str:
    """What stands behind the last dot; a row of combining marks would take the square of its length to put in order."""
    folded = unicodedata.normalize("NFKC", name.rstrip(". ")[-_LONGEST_ENDING:]).casefold().rstrip(". ")
    return folded.rpartition(".")[2] if "." in folded else ""
