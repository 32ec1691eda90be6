"""Find the hosts that texts link to: http and https URLs, and the `www.` names that mail programs turn into links."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

import idna

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.html_tags import UNSHOWN_END, attributes, read_tag, tag_at, unshown
from gatekeeper.message.text_parts import TextPart

# Browsers accept "\" for "/", any number of them, and a user name before the host. The bound on it keeps this linear.
# Case is folded beforehand, so that a search can skip to the literal first letters of a pattern.
_HOST = r"""[^\s/\\?#:@<>"'()\[\]{}|,;*“”‘’«»…]{1,255}"""
_URL = re.compile(rf"""https?:[/\\]{{2,8}}(?:[^\s/\\?#@<>"']{{0,256}}@)?(\[[0-9a-f:.]{{2,45}}\]|{_HOST})""")
_WWW = re.compile(rf"www\.{_HOST}")
_ATTRIBUTE = re.compile(r"""=\s{0,20}+("[^"]*+"|'[^']*+'|[^\s>"']++)""")
_ENTITY = re.compile(r"&(?:#(?:x([0-9a-f]{1,6})|(\d{1,7}))|(amp|colon|sol|bsol|period|commat|tab|newline));?")
_NAMED = {"amp": "&", "colon": ":", "sol": "/", "bsol": "\\", "period": ".", "commat": "@", "tab": "", "newline": ""}
_CONTENT_ID = re.compile(r"cid:([^\s\"'<>)]{1,998})")
_LONGEST_TAG = 4_000  # characters in which a picture's Content-ID stands
_FEW = 8  # tags with pictures that are looked at one by one
_PICTURES = frozenset({"img", "image", "input", "embed", "object", "v:imagedata", "v:fill"})
_PLAIN_PICTURE = re.compile(
    r"""img(?>\s++(?:alt|width|height|border|id|align)=(?:"[^"<>]*+"|[\w.-]++))*+\s++src="cid:([^"<>\s]++)\""""
    r"""(?>\s++(?:alt|width|height|border|id|align)=(?:"[^"<>]*+"|[\w.-]++))*+\s*+/?"""
)
_DATA = re.compile(r"data:(?!image/)")
_PLAIN_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]")
_BEYOND_HOST = re.compile(r"[^\w.-].*", re.DOTALL)
_LINE_BREAKS = str.maketrans("", "", "\t\r\n")
_ENTITIES = 100_000
_NONE = frozenset[str]()


class Links(NamedTuple):
    """The linked hosts in lower case, international ones as A-labels (RFC 5891), without a final dot.

    `with_files` are invitations, and HTML of which an attribute may lead to a `data:` URL (RFC 2397).
    """

    hosts: frozenset[str]
    with_files: tuple[TextPart, ...]


def read_links(texts: Iterable[TextPart], defects: DefectCollector) -> Links:
    """Read where texts lead."""
    found: set[str] = set()
    with_files: list[TextPart] = []
    for text in texts:
        for piece in linked_pieces(text, defects):
            if piece.rfind("http") >= 0:  # in a third of the time of `in`
                found.update(_URL.findall(piece))
            if piece.rfind("www.") >= 0:
                found.update(_WWW.findall(piece))
        if text.part.type == "text/calendar" or _may_lead_to_data(text, piece):
            with_files.append(text)
    hosts = frozenset(host for host in map(normalised_host, found) if host) if found else _NONE
    return Links(hosts, tuple(with_files))


def _may_lead_to_data(text: TextPart, values: str) -> bool:
    """Args: `values` are those of the attributes, where the text is HTML."""
    return text.is_html and "data:" in values and (_DATA.search(values) is not None or "download" in text.lower)


def shown_content_ids(texts: Iterable[TextPart]) -> frozenset[str]:
    """Return the Content-IDs of pictures that HTML shows by cid: URLs (RFC 2392), without brackets, in lower case."""
    shown = [_content_ids(text.lower) for text in texts if text.is_html and text.lower.rfind("cid:") >= 0]
    return frozenset(unquote(found) for ids in shown for found in ids) if shown else _NONE


def _content_ids(html: str) -> Iterator[str]:
    """Yield the Content-IDs in those attributes of tags that show a picture, from the last one on backward."""
    hidden: list[tuple[int, int]] | None = None
    for number, (start, tag) in enumerate(_tags_with_ids(html)):
        if hidden is None and (number == _FEW or _may_be_unshown(html, start)):
            hidden = unshown(html)
        if not hidden or not _is_within(start, hidden):
            yield from _shown_in(tag)


def _tags_with_ids(html: str) -> Iterator[tuple[int, str]]:
    """Yield start and inside of each tag that has "cid:" in it, from the last one on backward."""
    at, last, tag = html.rfind("cid:"), -1, ""  # rfind takes half the time of find
    while at >= 0:
        start = html.rfind("<", max(0, at - _LONGEST_TAG), at)
        if start != last:
            last, tag = start, _tag_at(html, start)
        is_text = start + len(tag) <= at
        if not is_text:
            yield start, tag
        at = html.rfind("cid:", 0, at if is_text else start)


def _tag_at(html: str, start: int) -> str:
    """Return the inside of the tag that starts there; "" for none, and for what stands in another tag."""
    first = max(0, start - _LONGEST_TAG)
    if start < 0 or html.rfind("<", first, start) > html.rfind(">", first, start):
        return ""
    return tag_at(html, start, start + 2 * _LONGEST_TAG)


def _may_be_unshown(html: str, at: int) -> bool:
    """Return False for most HTML: no comment is open at the place, and no script or the like ends behind it."""
    opened = html.rfind("<!--", 0, at)
    return (opened >= 0 and html.rfind("-->", opened + 2, at) < 0) or UNSHOWN_END.search(html, at) is not None


def _is_within(at: int, spans: list[tuple[int, int]]) -> bool:
    number = bisect_right(spans, (at, at))
    return number > 0 and at < spans[number - 1][1]


def _shown_in(tag: str) -> Iterator[str]:
    if plain := _PLAIN_PICTURE.fullmatch(tag):
        yield plain[1]
        return
    read, given = read_tag(tag), attributes(tag)
    if read.look is not None and read.look.hidden:
        return
    values = [given.get("background", ""), given.get("style", "")]
    values += [given.get("src", ""), given.get("data", "")] if read.name in _PICTURES else []
    for value in values:
        yield from _CONTENT_ID.findall(value)


def linked_pieces(text: TextPart, defects: DefectCollector) -> Iterator[str]:
    """Yield the text in lower case, and for HTML also the values of its attributes as a browser reads them."""
    yield text.lower
    if text.is_html:
        values = '"'.join(_ATTRIBUTE.findall(text.lower))  # no link goes on behind a quote
        if "\n" in values or "\r" in values or "\t" in values:
            values = values.translate(_LINE_BREAKS)
        if "&" in values:
            values, entities = _ENTITY.subn(_character, values, count=_ENTITIES)
            defects.add_if(entities == _ENTITIES, "text-over-limit")
        yield values


def _character(entity: re.Match[str]) -> str:
    hexadecimal, decimal, name = entity.groups()
    if name:
        return _NAMED[name]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else ""


def normalised_host(host: str) -> str:
    """Return a host in lower case, as A-labels, without a final dot."""
    host = (unquote(host).lower() if "%" in host else host).strip(".").strip()
    if _PLAIN_HOST.fullmatch(host):
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):  # not a valid name, but a rule can still look at what was written
        return _BEYOND_HOST.sub("", host).strip(".")
