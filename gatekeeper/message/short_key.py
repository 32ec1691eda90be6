"""Make the one key of a message with too few words for a fingerprint: what it is, whatever its subject.

The UID of its invitation; its largest file, or an image that stands alone; where its links lead, if it says little
else; its words, from three on, courtesies left out. Logos and links of a signature are no key. What differs between the
copies of a mailing is in none: numbers, values in links, codes in their paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from gatekeeper.message.attachments import FoundFile
from gatekeeper.message.body_text import own_text
from gatekeeper.message.fingerprint import OWN
from gatekeeper.message.links import normalised_host
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.shown_text import shown_text
from gatekeeper.message.telling_words import LEAST_TELLING, says_nothing
from gatekeeper.message.text_keys import Said, Texts
from gatekeeper.message.text_parts import TextPart
from gatekeeper.message.transfer_encoding import decoded

_LITTLE = 5  # words; with fewer, links say what a message is
_READ = 65_536  # octets of a file, or of an invitation, that are read
_MOST_LINKS = 20
_LONGEST = 300  # characters of a UID or link
_CALENDARS = frozenset({"text/calendar", "application/ics"})
_UID = re.compile(rb"^UID(?:;[^:\r\n]{0,200})?:([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)", re.I | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]")
# Cards and signatures that programs add, and texts of lists and gateways that Exchange makes files of.
_ADDED = frozenset({"text/vcard", "text/x-vcard", "text/directory", "application/pgp-keys", "application/ms-tnef"})
_ADDED_NAME = re.compile(r"att\d{1,5}(?:\.(?:txt|html?))?|signature\.asc|smime\.p7s|winmail\.dat", re.I)
_LINK = re.compile(
    r"""(?:(?:https?|ftp):[/\\]{2,8}(?:[^\s/\\?#@<>"']{0,256}@)?|(?=www\.)|(?<=<)//)"""
    r"""(\[[0-9a-f:.]{2,45}\]|[^\s/\\?#:@<>"'()\[\]{}|,;*“”‘’«»…]{1,255})(?::\d{1,5})?([/\\][^\s?#<>"']*+)?"""
    r"""|(?:mailto|tel|sms):([^\s?<>"']{1,300})"""
)
_CODE = re.compile(r"(?=[^/]*\d)[^/]{6,}|\d+|[^/]{24,}")  # a segment of a path that may differ from copy to copy
_PATH_ENDS = "/.,;:!)]}"


def short_key(
    content: bytes, structure: Structure, texts: Sequence[TextPart], files: Sequence[FoundFile], said: Texts
) -> str:
    """Return the kind and the value of the key, such as "words:...", "" where the message has none or needs none."""
    parts, few = structure.parts, said.few
    if len(parts) > 1 or files or parts[0].type in _CALENDARS:
        if uid := _invitation(content, parts):
            return f"invitation:{uid}"
        if few and (file := _file(content, parts, files, few)):
            return f"file:{file}"
    if few is None:
        return ""
    if len(few.words) < _LITTLE and (links := _links(texts, few)):
        return f"links:{' '.join(links)}"
    return f"words:{b' '.join(few.words).decode()}" if len(few.words) >= LEAST_TELLING else ""


def _invitation(content: bytes, parts: Iterable[Part]) -> str:
    for part in parts:
        if part.type in _CALENDARS and (found := _UID.search(_beginning(content, part))):
            return _FOLD.sub(b"", found[1]).decode("utf-8", "replace").strip()[:_LONGEST]
    return ""


def _beginning(content: bytes, part: Part) -> bytes:
    return decoded(content[part.start : min(part.end, part.start + _READ)], part.encoding)


# -- files -------------------------------------------------------------------------------------------------------


def _file(content: bytes, parts: Iterable[Part], files: Sequence[FoundFile], few: Said) -> str:
    """Return the digest of the largest file, else of the largest image where nothing else is shown; "" without one."""
    own = [file for file in files if not _is_added(file, few)]
    if own:
        return _digest(content, max(own, key=lambda file: file.size).part)
    images = [part for part in parts if part.type.startswith("image/")]
    if images and _stands_alone(few):
        return _digest(content, max(images, key=lambda part: part.end - part.start))
    return ""


def _is_added(file: FoundFile, few: Said) -> bool:
    """Return True for what programs add: cards, signatures, logos; and for a message whose text is read."""
    part = file.part
    if part.is_message:
        return len(few.words) >= LEAST_TELLING
    is_logo = part.type.startswith("image/") and part.disposition.main != "attachment"
    return is_logo or part.type in _ADDED or part.type in _CALENDARS or _ADDED_NAME.fullmatch(file.name) is not None


def _stands_alone(few: Said) -> bool:
    return len(few.words) < LEAST_TELLING and says_nothing(few.whole[:OWN])


def _digest(content: bytes, part: Part) -> str:
    """Return the digest of a file's beginning, and the length of it as it was sent."""
    if part.is_message:
        return f"{part.end - part.start}-{blake2b(content[part.start : part.end], digest_size=16).hexdigest()}"
    return blake2b(_beginning(content, part), digest_size=16).hexdigest()


# -- links -------------------------------------------------------------------------------------------------------


def _links(texts: Iterable[TextPart], few: Said) -> list[str]:
    """Return where the links of the sender's own text lead, in order, each once."""
    found = list(dict.fromkeys(_links_in(few.own)))
    for text in texts:
        if text.is_html and not found:
            shown = own_text(shown_text(text.text, 3 * OWN, ("href", "action", "formaction")), 3 * OWN)
            found = list(dict.fromkeys(_links_in(shown)))
        if text.is_html and not found and _stands_alone(few):
            found = list(dict.fromkeys(_links_in(shown_text(text.text, 3 * OWN, ("src", "background")))))
    return found[:_MOST_LINKS]


def _links_in(text: str) -> Iterator[str]:
    if ":" not in text and "www." not in text and "WWW." not in text and "//" not in text:
        return
    lower = text.lower()
    for host, path, address in _LINK.findall(lower):
        if host:
            yield normalised_host(host) + _stable(path)
        elif address := address.rstrip(_PATH_ENDS):
            local, at, domain = address.partition("@")
            yield f"{local.partition('+')[0]}{at}{domain}" if at else address


def _stable(path: str) -> str:
    """Return a path without the segments that may differ from copy to copy."""
    kept = [
        part for part in path.replace("\\", "/").rstrip(_PATH_ENDS).split("/") if part and not _CODE.fullmatch(part)
    ]
    return "".join(f"/{part}" for part in kept)
