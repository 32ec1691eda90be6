"""Decode the encoded words of header fields (RFC 2047)."""

from __future__ import annotations

import binascii
import re

from gatekeeper.message import charsets
from gatekeeper.message.defects import DefectCollector

# RFC 2047 forbids question marks in the text, but mail programs read them, so a few are allowed. Bounds keep it linear.
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*+(?:(?<!=)\?(?!=)[^?]{0,200}+){0,3})\?=")
_LEFT_OVER = re.compile(r"=\?[\w*-]{1,40}\?[bBqQ]\?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def decode_words(text: str, defects: DefectCollector) -> str:
    """Return the text with its encoded words decoded. White space between two of them is dropped (RFC 2047 6.2)."""
    if "=?" not in text:
        return text
    runs: list[tuple[str, bytes]] = []
    pieces: list[str] = []
    end = 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        if between and not (runs and between.isspace()):
            pieces += [_decoded(runs, defects), between]
            runs = []
        runs.append((_charset(word[1]), _octets(word[2], word[3], defects)))
        end = word.end()
    pieces += [_decoded(runs, defects), text[end:]]
    defects.add_if(any(_LEFT_OVER.search(plain) for plain in pieces[1::2]), "malformed-encoded-word")
    return "".join(pieces)


def _charset(tag: str) -> str:
    """Return the charset without the language that may follow (RFC 2231 5): "utf-8*en"."""
    return tag.partition("*")[0].lower()


def _octets(encoding: str, text: str, defects: DefectCollector) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data.rstrip(b"=") + b"=" * (-len(data.rstrip(b"=")) % 4))
    except binascii.Error:
        defects.add("malformed-encoded-word")
        return data


def _decoded(runs: list[tuple[str, bytes]], defects: DefectCollector) -> str:
    """Decode neighbouring words of one charset together, because senders cut words within a character."""
    texts: list[str] = []
    start = 0
    for here in range(1, len(runs) + 1):
        if here == len(runs) or runs[here][0] != runs[start][0]:
            together = b"".join(octets for _, octets in runs[start:here])
            texts.append(charsets.decode(together, runs[start][0], defects))
            start = here
    text, hidden = _CONTROL.subn(" ", "".join(texts))
    defects.add_if(hidden > 0, "control-character")
    return text
