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
from gatekeeper.message.calendars import CALENDARS, read_properties
from gatekeeper.message.fingerprint import OWN
from gatekeeper.message.mime_tree import Part, Structure
from gatekeeper.message.shown_text import shown_text
from gatekeeper.message.telling_words import LEAST_TELLING, says_nothing
from gatekeeper.message.template_links import links_in_text
from gatekeeper.message.text_keys import Said, Texts
from gatekeeper.message.text_parts import TextPart
from gatekeeper.message.transfer_encoding import decoded

_LITTLE = 5  # words; with fewer, links say what a message is
_READ = 65_536  # octets of a file, or of an invitation, that are read
_MOST_LINKS = 20
_LONGEST = 300  # characters of a UID or link
# Cards and signatures that programs add, and texts of lists and gateways that Exchange makes files of.
_ADDED = frozenset({"text/vcard", "text/x-vcard", "text/directory", "application/pgp-keys", "application/ms-tnef"})
_ADDED_NAME = re.compile(r"att\d{1,5}(?:\.(?:txt|html?))?|signature\.asc|smime\.p7s|winmail\.dat", re.I)
_MAY_LINK = re.compile(r":|//|\w\.\w")
_DATA = re.compile(r"""data:([^\s<>"']{1,4000})""")
_INSERTED = re.compile(r"^(?:begin(?:-base64)?[ \t]{1,9}+[0-7]{1,7}[ \t]|=ybegin )[^\n]{1,300}\n", re.MULTILINE)
_NO_PLACES = frozenset({"mailto", "tel", "sms", "callto", "fax", "sip", "sips", "xmpp"})
_PORT = re.compile(r":\d{0,5}\Z")
_CODE = re.compile(r"(?=[^/]*\d)[^/]{6,}|\d+|[^/]{24,}")  # a segment of a path that may differ from copy to copy


def short_key(
    content: bytes, structure: Structure, texts: Sequence[TextPart], files: Sequence[FoundFile], said: Texts
) -> str:
    """Return the kind and the value of the key, such as "words:...", "" where the message has none or needs none."""
    parts, few = structure.parts, said.few
    if len(parts) > 1 or files or parts[0].type in CALENDARS:
        if uid := _invitation(content, parts):
            return f"invitation:{uid}"
        if few and (file := _file(content, parts, files, few)):
            return f"file:{file}"
    if few is None:
        return ""
    if "begin" in few.whole and (inserted := _INSERTED.search(few.whole)):
        return f"file:{_hashed(few.whole[inserted.end() : inserted.end() + _READ].encode('utf-8', 'replace'))}"
    if len(few.words) < _LITTLE and (links := _links(texts, few)):
        return f"links:{' '.join(links)}"
    return f"words:{b' '.join(few.words).decode()}" if len(few.words) >= LEAST_TELLING else ""


def _invitation(content: bytes, parts: Iterable[Part]) -> str:
    for part in parts:
        if part.type in CALENDARS:
            for each in read_properties(_beginning(content, part).decode("utf-8", "replace")):
                if each.name == "UID":
                    return each.value.strip()[:_LONGEST]
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
    return is_logo or part.type in _ADDED or part.type in CALENDARS or _ADDED_NAME.fullmatch(file.name) is not None


def _stands_alone(few: Said) -> bool:
    return len(few.words) < LEAST_TELLING and says_nothing(few.whole[:OWN])


def _digest(content: bytes, part: Part) -> str:
    """Return the digest of a file's beginning, or of a whole message."""
    return _hashed(content[part.start : part.end] if part.is_message else _beginning(content, part))


def _hashed(octets: bytes) -> str:
    return blake2b(octets, digest_size=16).hexdigest()


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
    """Yield what a text links to, of every scheme, and the digest of each picture that it holds itself."""
    if not _MAY_LINK.search(text):
        return
    for link in links_in_text(_DATA.sub("", text))[0]:
        if link.partition(":")[0] in _NO_PLACES:
            yield link
        elif not link.startswith("inside:"):
            place, slash, path = link.rpartition("://")[2].partition("/")
            yield _PORT.sub("", place.rpartition("@")[2]) + _stable(slash + path)
    for data in _DATA.findall(text):
        yield f"data:{_hashed(data.encode('utf-8', 'replace'))}"


def _stable(path: str) -> str:
    """Return a path without the segments that may differ from copy to copy."""
    kept = [part for part in path.lower().split("/") if part and not _CODE.fullmatch(part)]
    return "".join(f"/{part}" for part in kept)
