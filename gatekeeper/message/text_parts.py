"""The texts of a message: its text parts that are shown and not offered as files, decoded up to a bound."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.lib.immutable import immutable
from gatekeeper.message import charsets, transfer_encoding
from gatekeeper.message.defects import Notebook
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import IDENTITY, Part


@immutable
class Text:
    """A text part: its octets less the transfer encoding, and as characters."""

    part: Part
    octets: bytes
    text: str

    @property
    def is_html(self) -> bool:
        return self.part.type in ("text/html", "application/xhtml+xml", "text/x-amp-html")


def read_texts(content: bytes, parts: Iterable[Part], limits: Limits, notebook: Notebook) -> tuple[Text, ...]:
    """Text parts in order. All together are read up to `limits.text` octets; what is longer is noted."""
    left = limits.text
    texts = []
    for part in parts:
        if is_shown_text(part):
            raw = content[part.start : min(part.end, part.start + _raw_bound(left, part.encoding))]
            octets = transfer_encoding.decoded(raw, part.encoding)
            notebook.note_if(part.start + len(raw) < part.end, "text-over-limit")
            left = max(0, left - len(octets))
            texts.append(Text(part, octets, charsets.decode_body(octets, part.content_type.get("charset"), notebook)))
    return tuple(texts)


def is_shown_text(part: Part) -> bool:
    return (part.type.startswith("text/") or part.type == "application/xhtml+xml") and (
        part.disposition.main != "attachment"
    )


def _raw_bound(octets: int, encoding: str) -> int:
    return octets if encoding in IDENTITY else octets * 4 // 3 + octets // 32
