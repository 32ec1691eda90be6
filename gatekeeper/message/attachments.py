"""Find the parts that a mail program would offer as files.

A file is a part with a name, with the disposition `attachment`, or with a type that is not shown as text. Not files:

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
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.transfer_encoding import decoded_size
from gatekeeper.model import Attachment

_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_SIGNATURE_SIZE = 65_536
_SIZE_SHOWS_NO_DEFECT = "quoted-printable"  # so that the size of a body is not worked out
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
_LONGEST_ENDING = 255  # characters; no ending of a file name is longer
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class FoundFile(NamedTuple):
    """A part that a mail program would offer as a file, its names with different endings, and its size once decoded."""

    part: Part
    names: tuple[str, ...]
    size: int

    @property
    def name(self) -> str:
        return self.names[0] if self.names else ""


def find_files(
    content: bytes, structure: Structure, shown_ids: frozenset[str], defects: DefectCollector
) -> tuple[FoundFile, ...]:
    """Return the files of a message, in order.

    Args: `shown_ids` are the Content-IDs that the message's HTML refers to.
    """
    return tuple(_files(content, structure, shown_ids, defects))


def as_attachments(files: Iterable[FoundFile]) -> Iterator[Attachment]:
    """Yield each file; one that has two names with different endings once for each, the second time with size 0."""
    for file in files:
        yield Attachment(file.name, file.part.type, file.size)
        yield from (Attachment(name, file.part.type, 0) for name in file.names[1:])


def _files(
    content: bytes, structure: Structure, shown_ids: frozenset[str], defects: DefectCollector
) -> Iterator[FoundFile]:
    for part in structure.parts:
        if part.is_multipart and part.children:
            continue
        defects.add_if(part.type == "message/partial", "partial-message")
        names = _names(part, defects)
        is_body = not names and part.type.startswith("text/") and part.disposition.main != "attachment"
        if is_body and part.encoding == _SIZE_SHOWS_NO_DEFECT:
            continue
        size = part.end - part.start if part.is_message else _size(content, part, defects)
        if not is_body and _is_file(part, names, size, shown_ids):
            yield FoundFile(part, names, size)


def _size(content: bytes, part: Part, defects: DefectCollector) -> int:
    return decoded_size(content, part.start, part.end, part.encoding, defects)


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


def _names(part: Part, defects: DefectCollector) -> tuple[str, ...]:
    """Return the part's first name (of Content-Disposition, else Content-Type), and names with other endings."""
    given = part.disposition.all("filename") + part.content_type.all("name")
    if not given:
        return ()
    names = [name for name in (_clean(value) for value in given) if name]
    endings = {_ending(name): name for name in reversed(names)}
    defects.add_if(len(endings) > 1, "clashing-names")
    others = [name for name in endings.values() if name != names[0]]
    return (*names[:1], *reversed(others))


def _clean(name: str) -> str:
    return " ".join(_NOT_IN_NAMES.sub("", name).split())


def _ending(name: str) -> str:
    """Return the folded text behind the last dot.

    The length is bounded, because sorting combining marks is quadratic.
    """
    folded = unicodedata.normalize("NFKC", name.rstrip(". ")[-_LONGEST_ENDING:]).casefold().rstrip(". ")
    return folded.rpartition(".")[2] if "." in folded else ""
