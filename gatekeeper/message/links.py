"""Find the hosts that texts link to: http and https URLs, and the `www.` names that mail programs turn into links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

import idna

from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.text_parts import TextPart

# Browsers accept "\" for "/", any number of them, and a user name before the host. The bound on it keeps this linear.
# Case is folded beforehand, so that a search can skip to the literal first letters of a pattern.
_HOST = r"""[^\s/\\?#:@<>"'()\[\]{}|,;*“”‘’«»…]{1,255}"""
_URL = re.compile(rf"""https?:[/\\]{{2,8}}(?:[^\s/\\?#@<>"']{{0,256}}@)?(\[[0-9a-f:.]{{2,45}}\]|{_HOST})""")
_WWW = re.compile(rf"www\.{_HOST}")
_ATTRIBUTE = re.compile(r"""=\s{0,20}("[^"]*"|'[^']*'|[^\s>"']+)""")
_ENTITY = re.compile(r"&(?:#(?:x([0-9a-f]{1,6})|(\d{1,7}))|(amp|colon|sol|bsol|period|commat|tab|newline));?")
_NAMED = {"amp": "&", "colon": ":", "sol": "/", "bsol": "\\", "period": ".", "commat": "@", "tab": "", "newline": ""}
_CONTENT_ID = re.compile(r"cid:([^\s\"'<>)]{1,998})")
_PLAIN_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]")
_BEYOND_HOST = re.compile(r"[^\w.-].*", re.DOTALL)
_LINE_BREAKS = str.maketrans("", "", "\t\r\n")
_ENTITIES = 100_000
_NONE = frozenset[str]()


def linked_hosts(texts: Iterable[TextPart], defects: DefectCollector) -> frozenset[str]:
    """Return the linked hosts in lower case, international ones as A-labels (RFC 5891), without a final dot."""
    found: set[str] = set()
    for text in texts:
        for piece in linked_pieces(text, defects):
            if "http" in piece:
                found.update(_URL.findall(piece))
            if "www." in piece:
                found.update(_WWW.findall(piece))
    return frozenset(host for host in map(normalised_host, found) if host) if found else _NONE


def shown_content_ids(texts: Iterable[TextPart]) -> frozenset[str]:
    """Return the Content-IDs that HTML refers to by cid: URLs (RFC 2392), without angle brackets, in lower case."""
    shown = (
        _CONTENT_ID.findall(text.lower, at) for text in texts if text.is_html and (at := text.lower.find("cid:")) >= 0
    )
    return frozenset(unquote(found) for ids in shown for found in ids)


def linked_pieces(text: TextPart, defects: DefectCollector) -> Iterator[str]:
    """Yield the text in lower case, and for HTML also the values of its attributes as a browser reads them."""
    yield text.lower
    if text.is_html:
        values = '"'.join(_ATTRIBUTE.findall(text.lower))  # no link goes on behind a quote
        plain, entities = _ENTITY.subn(_character, values.translate(_LINE_BREAKS), count=_ENTITIES)
        defects.add_if(entities == _ENTITIES, "text-over-limit")
        yield plain


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
