"""Read what the varying copies of a template have in common: text, links and attachments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from gatekeeper.message.attachments import attached_parts
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.fingerprint import text_fingerprints
from gatekeeper.message.limits import Limits
from gatekeeper.message.links import linked_pieces, normalised_host, shown_content_ids
from gatekeeper.message.mime_tree import read_structure
from gatekeeper.message.text_parts import TextPart, read_text_parts
from gatekeeper.model import Likeness

_LIMITS = Limits()
# Hosts as links.py finds them, with the path. What follows ? or # is left out, because it differs from copy to copy.
_LINK = re.compile(
    r"""(?:https?:[/\\]{2,8}(?:[^\s/\\?#@<>"']{0,256}@)?|(?=www\.))"""
    r"""(\[[0-9a-f:.]{2,45}\]|[^\s/\\?#:@<>"'()\[\]{}|,;*“”‘’«»…]{1,255})(:\d{1,5})?([/\\][^\s?#<>"']{0,2000})?"""
)


def read_likeness(content: bytes, limits: Limits = _LIMITS) -> Likeness:
    """Read a whole message: its fingerprints, its links without their parameters, its attachments with digests."""
    defects = DefectCollector()
    structure = read_structure(content, limits, defects)
    texts = read_text_parts(content, structure.parts, limits, defects)
    parts = attached_parts(content, structure, shown_content_ids(texts), defects)
    return Likeness(
        fingerprints=frozenset(text_fingerprints(texts, limits.sample)),
        links=frozenset(_links(texts, defects)),
        attachments=frozenset(
            f"{name} {part.type} {blake2b(content[part.start : part.end], digest_size=16).hexdigest()}"
            for part, name in parts
        ),
    )


def _links(texts: Iterable[TextPart], defects: DefectCollector) -> Iterator[str]:
    for text in texts:
        for piece in linked_pieces(text, defects):
            for host, port, path in _LINK.findall(piece):
                known = normalised_host(host)
                if known:
                    yield known + port + (path or "").rstrip("/.,;:!)\\")
