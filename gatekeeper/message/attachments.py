"""Find the parts that a mail program would offer as files.

A file is a part with a name, with a disposition other than `inline`, or with a type that is not shown as text. Not
files:

- the bodies: text without a name (an inline text/calendar invitation is one of them), multipart containers;
- images of the web that the HTML beside them shows by their Content-ID (inline, in one multipart/related);
- the machine-readable parts and the returned message of a multipart/report (RFC 6522);
- the signature of a multipart/signed (RFC 1847), up to 64 KiB, and the control part of a multipart/encrypted;
- messages of a multipart/digest without name and disposition.

All of these are files where they have a name that is not usual for them.

Encrypted parts are files: the gate cannot see what they hold. A nested message is a file, and so are the files it
holds. A TNEF part is a file that is no attachment: it wraps a message of Exchange, and may have nothing but fonts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.misplaced_headers import note_misplaced
from gatekeeper.message.transfer_encoding import decoded, decoded_size, text_size
from gatekeeper.model import Attachment

_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_SIGNATURE_SIZE = 65_536
_CONTROL_SIZE = 1_000  # octets; RFC 3156 4 has a line in it
_SIGNATURE_ENDINGS = frozenset({"asc", "sig", "pgp", "p7s", "p7m"})
_CONTROL_NAME = re.compile(
    r"(?:pgp ?/?mime )?versions? ?(?:identification)?(?:\.(?:txt|asc|dat))?|att\d{1,6}\.(?:txt|dat)", re.I
)
_REPORT_ENDINGS = frozenset({"", "txt", "dat"})
_SHOWN_IMAGES = frozenset(  # by browsers and by mail programs
    f"image/{each}"
    for each in ("png", "x-png", "apng", "jpeg", "jpg", "pjpeg", "gif", "bmp", "x-ms-bmp", "webp", "avif")
)
_IMAGE_ENDINGS = frozenset(
    {"", "png", "apng", "jpeg", "jpg", "jpe", "jfif", "pjpeg", "gif", "bmp", "dib", "webp", "avif"}
)
_SHOWN_TEXTS = frozenset(  # mail programs offer other texts as files
    {
        *("text/plain", "text/html", "text/calendar", "text/enriched", "text/richtext", "text/markdown"),
        *("text/x-amp-html", "text/watch-html"),
    }
)
_SIZE_SHOWS_NO_DEFECT = "quoted-printable"  # so that the size of a body is not worked out
_REPORT_PARTS = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/global-disposition-notification",
        "message/feedback-report",
        "message/global-headers",
        "text/rfc822-headers",
    }
)
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_TNEF_ENDINGS = frozenset({"", "dat"})
_TNEF_SIGNATURE = b"\x78\x9f\x3e\x22"  # MS-OXTNEF 2.1.3.1
_TNEF_START = 64  # octets that are decoded to look for it
_LONGEST_ENDING = 255  # characters; no ending of a file name is longer
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class FoundFile(NamedTuple):
    """A part that a mail program would offer as a file, its names with different endings, and its size once decoded."""

    part: Part
    names: tuple[str, ...]
    size: int
    is_tnef: bool = False  # a container of Exchange, winmail.dat

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
    """Yield each file but TNEF; one that has two names with different endings once for each, then with size 0."""
    for file in files:
        if file.is_tnef:
            continue
        yield Attachment(file.name, file.part.type, file.size)
        yield from (Attachment(name, file.part.type, 0) for name in file.names[1:])


def _files(
    content: bytes, structure: Structure, shown_ids: frozenset[str], defects: DefectCollector
) -> Iterator[FoundFile]:
    for part in structure.parts:
        if part.is_multipart and part.children:
            continue
        defects.add_if(part.type == "message/partial", "partial-message")
        if part.is_doubtful:
            note_misplaced(content, part, defects)
        names = _names(part, defects)
        is_body = not names and part.content_type.main in _SHOWN_TEXTS and not part.is_attached
        if is_body and part.encoding == _SIZE_SHOWS_NO_DEFECT:
            continue
        size = _size(content, part, is_body, defects)
        if not is_body and _is_file(part, names, size, shown_ids):
            yield FoundFile(part, names, size, _is_tnef(content, part, names))


def _size(content: bytes, part: Part, is_body: bool, defects: DefectCollector) -> int:
    if part.is_message:
        return part.end - part.start
    size = text_size if is_body else decoded_size
    return size(content, part.start, part.end, part.encoding, defects)


def _is_file(part: Part, names: tuple[str, ...], size: int, shown_ids: frozenset[str]) -> bool:
    attached = part.is_attached
    if _is_machinery(part, names, size) or (not attached and _is_shown_image(part, names, shown_ids)):
        return False
    if part.is_message:
        return attached or bool(names) or part.within not in ("multipart/digest", "multipart/report")
    return attached or bool(names) or not (part.type in _SHOWN_TEXTS or part.is_multipart)


def _is_tnef(content: bytes, part: Part, names: tuple[str, ...]) -> bool:
    """Return True for a part that says it is TNEF, begins like it, and has no other file's name."""
    if part.type not in _TNEF or not _end_in(names, _TNEF_ENDINGS):
        return False
    start = content[part.start : min(part.end, part.start + _TNEF_START)]
    return decoded(start, part.encoding).startswith(_TNEF_SIGNATURE)


def _is_machinery(part: Part, names: tuple[str, ...], size: int) -> bool:
    if part.within == "multipart/signed":
        is_second = part.parent is not None and any(each is part for each in part.parent.children[1:2])
        return is_second and part.type in _SIGNATURES and size <= _SIGNATURE_SIZE and _end_in(names, _SIGNATURE_ENDINGS)
    if part.within == "multipart/encrypted":
        is_named = all(map(_CONTROL_NAME.fullmatch, names))
        return part.type == "application/pgp-encrypted" and size <= _CONTROL_SIZE and is_named
    return part.within == "multipart/report" and part.type in _REPORT_PARTS and _end_in(names, _REPORT_ENDINGS)


def _end_in(names: tuple[str, ...], endings: frozenset[str]) -> bool:
    return all(_ending(name) in endings for name in names)


def _is_shown_image(part: Part, names: tuple[str, ...], shown_ids: frozenset[str]) -> bool:
    if part.within != "multipart/related" or part.type not in _SHOWN_IMAGES:
        return False
    content_id = (part.header.first("content-id") or b"").decode("latin-1").strip().strip("<>").lower()
    return content_id in shown_ids and _end_in(names, _IMAGE_ENDINGS)


def _names(part: Part, defects: DefectCollector) -> tuple[str, ...]:
    """Return the part's first name (of Content-Disposition, else Content-Type), and names with other endings."""
    parameters = part.content_type.parameters
    if not (part.disposition.parameters or "name" in parameters or "filename" in parameters):
        return ()
    given = part.disposition.all("filename") + part.content_type.all("name")
    given += part.disposition.all("name") + part.content_type.all("filename")
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
