"""Decode the texts of a message: text parts that are shown and not offered as files, up to a bound."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.lib.immutable import immutable
from gatekeeper.message import charsets, transfer_encoding
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import Part
from gatekeeper.message.part_fields import IDENTITY


@immutable
class TextPart:
    """A text part: its octets without the transfer encoding, and its characters."""

    part: Part
    octets: bytes
    text: str
    lower: str  # the text in lower case, in which links are searched

    @property
    def is_html(self) -> bool:
        return self.part.type in ("text/html", "application/xhtml+xml", "text/x-amp-html")


def read_text_parts(
    content: bytes, parts: Iterable[Part], limits: Limits, defects: DefectCollector
) -> tuple[TextPart, ...]:
    """Return the text parts in order, up to `limits.text` octets altogether; more than that is noted as a defect."""
    left = limits.text
    texts = []
    for part in parts:
        if _is_shown_text(part):
            raw = content[part.start : min(part.end, part.start + _raw_bound(left, part.encoding))]
            octets = transfer_encoding.decoded_text(raw, part.encoding, defects)
            defects.add_if(part.start + len(raw) < part.end, "text-over-limit")
            left = max(0, left - len(octets))
            text = charsets.decode_body(octets, part.content_type.get("charset"), defects)
            texts.append(TextPart(part, octets, text, text.lower()))
    return tuple(texts)


def _is_shown_text(part: Part) -> bool:
    return (part.type.startswith("text/") or part.type == "application/xhtml+xml") and (
        part.disposition.main != "attachment"
    )


def _raw_bound(octets: int, encoding: str) -> int:
    return octets if encoding in IDENTITY else octets * 4 // 3 + octets // 32
