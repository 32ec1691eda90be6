"""Make a message's HTML safe to look at: no scripts, forms, frames; nothing is loaded, no link leads anywhere."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

import nh3

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_tree import Structure, read_structure
from gatekeeper.message.text_parts import TextPart, read_text_parts
from gatekeeper.message.transfer_encoding import decoded

MOST_HTML = 512 * 1024  # characters that are shown
_MOST_IMAGE = 1024 * 1024  # octets of a picture inside the message
_LIMITS = Limits()
_TAGS = nh3.ALLOWED_TAGS - {"map", "area"} | {"font", "center", "big"}
_ATTRIBUTES: Mapping[str, set[str]] = {
    "*": {"style", "dir", "lang", "align", "valign", "title"},
    "table": {"width", "cellpadding", "cellspacing", "border", "bgcolor"},
    "td": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "th": {"colspan", "rowspan", "width", "height", "bgcolor"},
    "tr": {"bgcolor"},
    "font": {"color", "size", "face"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
}
_PICTURE = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')  # as nh3 writes it: a value may hold < and >, but no quote
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_STYLES = {  # none of these can load anything or leave the frame
    *("color", "background-color", "font-weight", "font-style", "font-size", "font-family", "text-align"),
    *("text-decoration", "line-height", "padding", "margin", "border", "border-collapse", "width", "vertical-align"),
}
_PAGE = (
    "<!doctype html><html><head><meta charset=utf-8><title>The message</title><style>body{{font:16px/1.5 system-ui,"
    "sans-serif;margin:12px;overflow-wrap:anywhere;color:#1b1b1b;background:#fff}}img{{max-width:100%}}"
    ".away{{border:1px dashed #999;padding:2px 6px;color:#555}}pre{{white-space:pre-wrap;font:inherit}}</style></head>"
    "<body>{}</body></html>"
)


def rendered(content: bytes) -> str:
    """Return the HTML document that shows a message; its HTML part, else its text."""
    structure, texts = _read(content)
    shown = next((part for part in texts if part.is_html), None)
    if shown is None:
        return _PAGE.format(f"<pre>{html.escape(chr(10).join(part.text for part in texts)[:MOST_HTML])}</pre>")
    cut = "" if len(shown.text) <= MOST_HTML else "<p><strong>The rest is too long to be shown.</strong></p>"
    return _PAGE.format(clean(shown.text[:MOST_HTML], _pictures(content, structure)) + cut)


def clean(text: str, pictures: Mapping[str, str] | None = None) -> str:
    """Return HTML without anything that acts or loads. Args: `pictures` of the message itself, by Content-ID."""
    own = pictures or {}

    def kept(tag: str, attribute: str, value: str) -> str | None:
        if (tag, attribute) != ("img", "src"):
            return value
        return own.get(value.strip()[len("cid:") :]) if value.strip().lower().startswith("cid:") else None

    cleaned = nh3.clean(
        text,
        tags=_TAGS,
        clean_content_tags={"script", "style", "title", "noscript", "template", "svg", "math", "object", "iframe"},
        attributes=dict(_ATTRIBUTES),
        attribute_filter=kept,
        filter_style_properties=_STYLES,
        url_schemes={"cid"},
        link_rel=None,
    )
    return _PICTURE.sub(_box, cleaned)


def _box(found: re.Match[str]) -> str:
    """Return a picture of the message itself as it is; of another one its text, and that it is not loaded."""
    attributes = dict(_ATTRIBUTE.findall(found[1]))
    if "src" in attributes:
        return found[0]
    said = html.unescape(attributes.get("alt", "")).strip()
    words = f": {html.escape(said)}" if said else ""
    return f'<span class="away">Picture from outside, not loaded{words}</span>'


def _read(content: bytes) -> tuple[Structure, tuple[TextPart, ...]]:
    defects = DefectCollector()
    structure = read_structure(content, _LIMITS, defects)
    return structure, read_text_parts(content, structure.parts, _LIMITS, defects)


def _pictures(content: bytes, structure: Structure) -> dict[str, str]:
    """Return the small pictures of a message as data: addresses, by their Content-IDs."""
    found = {}
    for part in structure.parts:
        name = (part.header.first("content-id") or b"").decode("latin-1").strip().strip("<>")
        if not name or part.type not in ("image/png", "image/jpeg", "image/gif", "image/webp"):
            continue
        octets = decoded(content[part.start : part.end], part.encoding)
        if len(octets) <= _MOST_IMAGE:
            found[name] = f"data:{part.type};base64,{base64.b64encode(octets).decode('ascii')}"
    return found
