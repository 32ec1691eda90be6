"""Read what `model.Facts` holds by the cheapest means: for well-formed mail alone, without limits and defects."""

from __future__ import annotations

import binascii
import re
from bisect import bisect_left
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from hashlib import sha256
from operator import xor
from typing import NamedTuple
from zlib import crc32

_ADDRESS = re.compile(rb"[^\s<>,;\"]+@[^\s<>,;\"]+")
_PARAMETER = re.compile(rb'(charset|boundary|name|filename)="?([^";\r\n]+)')
_LINK = re.compile(r"(?:https?://|www\.)([^\s/?#:\"'<>]+)")
_SHOWN = re.compile(r"cid:([^\s\"'<>)]+)")
_TAG = re.compile(r"<[^>]*>")
_MARKS = re.compile(r"(?:(?:re|fwd?|aw|wg)\s?:\s?|\[[^\]]+\]\s?)+")
_CLOSING = re.compile(r"\n(?:-- ?\r?\n|(?:kind |best )?regards|thanks|sincerely)", re.IGNORECASE)
_SEEN = (b"from", b"sender", b"to", b"cc", b"subject", b"reply-to", b"mime-version")
_MARKED = b"@/\\:=&%#$+~^0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS_ONLY = bytes.maketrans(_MARKED, b"0" * len(_MARKED))
_PUNCTUATION = b"!\"'()*,-.;<>?[]_`{|}"
_CIRCLE = 1 << 32
_PLACES = tuple((number * 0x9E3779B9 % _CIRCLE, (number * 0x9E3779B9 + (1 << 31)) % _CIRCLE) for number in range(4))


class Facts(NamedTuple):
    """What a message says about itself, as far as well-formed mail says it."""

    author: list[bytes]
    visible: list[bytes]
    subject: str
    message_id: bytes
    received: int
    digest: str
    links: set[str]
    files: list[tuple[bytes, int]]
    subject_key: str
    fingerprints: list[str]


@dataclass(slots=True)
class _Found:
    """Texts and files of the parts that were read so far."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    files: list[tuple[bytes, int]] = field(default_factory=list)


def read_facts(content: bytes) -> Facts:
    """Read a well-formed message with CRLF line ends."""
    head, _, body = content.partition(b"\r\n\r\n")
    fields, found = _fields(head), _Found()
    _read_part(fields, body, found)
    subject = _decoded(fields.get(b"subject", b""))
    shown = [fields[name] for name in sorted(fields) if name in _SEEN or name.startswith(b"content-")]
    return Facts(
        author=_ADDRESS.findall(fields.get(b"from", b"")),
        visible=_ADDRESS.findall(fields.get(b"to", b"") + b"," + fields.get(b"cc", b"")),
        subject=subject,
        message_id=fields.get(b"message-id", b"").strip(b"<>"),
        received=head.count(b"\r\nReceived:") + head.startswith(b"Received:"),
        digest=sha256(b"\n".join(shown) + body.rstrip().replace(b"\r\n", b"\n")).hexdigest(),
        links=_links("\n".join((*found.plain, *found.html))),
        files=found.files,
        subject_key=_MARKS.sub("", " ".join(subject.casefold().split()), count=1),
        fingerprints=_fingerprints("\n".join(found.plain) or _TAG.sub(" ", "\n".join(found.html))),
    )


def _links(text: str) -> set[str]:
    return set(_LINK.findall(text.lower())) if "://" in text or "www." in text else set()


def _fields(head: bytes) -> dict[bytes, bytes]:
    """Return the fields of a header by lower-case name, unfolded."""
    lines = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n")
    return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


def _decoded(value: bytes) -> str:
    return str(make_header(decode_header(value.decode()))) if b"=?" in value else value.decode()


def _read_part(fields: dict[bytes, bytes], body: bytes, found: _Found) -> None:
    """Add the texts and files of a part to those found so far."""
    written = fields.get(b"content-type", b"text/plain")
    kind, given = written.lower(), dict(_PARAMETER.findall(written))
    encoding = fields.get(b"content-transfer-encoding", b"").lower()
    if kind.startswith(b"multipart/"):
        for part in body.split(b"--" + given[b"boundary"])[1:-1]:
            head, _, rest = part[2:].partition(b"\r\n\r\n")
            _read_part(_fields(head), rest, found)
    elif kind.startswith(b"text/"):
        if encoding in (b"quoted-printable", b"base64"):
            body = binascii.a2b_qp(body) if encoding == b"quoted-printable" else binascii.a2b_base64(body)
        text = body.decode(given.get(b"charset", b"utf-8").decode())
        (found.html if kind.startswith(b"text/html") else found.plain).append(text)
    elif fields.get(b"content-id", b"").strip(b"<>").decode() not in _SHOWN.findall("".join(found.html)):
        size = len(body) * 57 // 78 if encoding == b"base64" else len(body)
        found.files.append((given.get(b"name", b""), size))


def _fingerprints(text: str) -> list[str]:
    """Return min-hash bands of the sender's own words, as `message/fingerprint.py` explains them."""
    closing = _CLOSING.search(text, 0, 4096)
    own = text[: closing.start() if closing else 1536].encode()
    words = [word for word in own.translate(_WORDS_ONLY, _PUNCTUATION).split() if len(word) > 3 and word.isalpha()][:96]
    hashes = list(map(crc32, words))
    pairs = sorted(set(map(xor, hashes, hashes[1:])))
    size = len(pairs)
    if size < 8:
        return []
    return [f"{pairs[bisect_left(pairs, a) % size]:08x}{pairs[bisect_left(pairs, b) % size]:08x}" for a, b in _PLACES]
