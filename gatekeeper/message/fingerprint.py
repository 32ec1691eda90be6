"""Compute fingerprints of a text. Copies that differ only by mail merge or random salt share at least one of them.

The words used are the sender's own words that are long enough to carry meaning and do not differ between copies: no
names (capitals), numbers, links or addresses. Every two neighbouring words are a pair, and the hash of a pair is a
point on a circle. A fingerprint is made of the first pairs at or after two fixed places on the circle (min-hash bands:
Broder 1997; the circle as in Karger's consistent hashing, 1997). A changed word changes a fingerprint only where its
new pair lands between a place and the pair found there. Texts that share few pairs hardly ever share both pairs of a
fingerprint. docs/mailings.md has the figures by which the constants were chosen.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from operator import xor
from zlib import crc32

from gatekeeper.message.body_text import DISCLAIMER_WORDS, own_text, without_disclaimers
from gatekeeper.message.mime_tree import Part, ancestors
from gatekeeper.message.text_normalisation import fold
from gatekeeper.message.text_parts import TextPart

FINGERPRINTS = 4
_LEAST_PAIRS = 8  # fewer pairs are too little to tell texts apart
_LEAST_WORDS = _LEAST_PAIRS + 1
_LEAST_SHOUTED = 24  # words of a text all in capitals, or with names for the most part
_OWN = 1_536  # characters of a sender's own words that are read
_WORDS = 96  # words that count: enough to recognise a text, at a bounded cost
_LEAST_LETTERS = 4  # shorter words are in every text
_LONGEST_KNOWN = 60  # octets; longer tokens are not cached. Without spaces a whole text is one, which no other text has

_CIRCLE = 1 << 32
_GOLDEN = 0.618_033_988_75  # the golden ratio: steps of this size keep any number of places well apart
_PLACES = tuple(  # two for each fingerprint
    int((number * _GOLDEN + half) % 1 * _CIRCLE) for number in range(FINGERPRINTS) for half in (0, 0.5)
)
_SHOWN = " ".join(f"{number}-%08x%08x" for number in range(FINGERPRINTS))

# Marks of words that differ between copies become a 0, so that bytes.isalpha() refuses the whole word. Other
# punctuation is deleted, so that a link does not fall apart into words.
_MARKS = b"@/\\:=&%#$+~^0123456789"
_PUNCTUATION = bytes(
    set(range(0x21, 0x7F)) - set(_MARKS) - set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
)
_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NO_CAPITALS = bytes.maketrans(_MARKS + _CAPITALS, b"0" * (len(_MARKS) + len(_CAPITALS)))
_CAPITALS_TOO = bytes.maketrans(_MARKS + _CAPITALS, b"0" * len(_MARKS) + _CAPITALS.lower())
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # scripts that put no space between words
_RUN = re.compile(rf"([{_UNSPACED}]+)|[^\W\d_{_UNSPACED}]+")

_UNSHOWN = re.compile(r"<!--.*?(?:-->|\Z)|<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)", re.I | re.DOTALL)
_BLOCK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?table|/?li|/?ul|/?h[1-6]|/?td|hr|/?blockquote)\b[^>]*(?:>|\Z)", re.I)
_TAG = re.compile(r"<[^>]*(?:>|\Z)")
_ENTITY = re.compile(r"&(?:nbsp|#160|#xa0);?", re.I)


def text_fingerprints(texts: Sequence[TextPart], sample: int) -> tuple[str, ...]:
    """Return the fingerprints of the first `sample` characters of the message's own text; () where that is too short.

    Plain text is preferred to HTML, because a mail with both says the same in both. Nested messages are left out.
    """
    own = [text for text in texts if text.part.parent is None or not _is_nested(text.part)]
    plain = "\n".join(text.text[:sample] for text in own if not text.is_html)[:sample]
    found = fingerprints(plain)
    return fingerprints(_html(own, sample)) if not found and any(text.is_html for text in own) else found


def _is_nested(part: Part) -> bool:
    return any(holder.is_message for holder in ancestors(part))


def _html(texts: Sequence[TextPart], sample: int) -> str:
    return "\n".join(_shown_text(text.text[: 4 * sample]) for text in texts if text.is_html)[:sample]


def fingerprints(text: str) -> tuple[str, ...]:
    """Return the fingerprints of a plain text; () where it has too few words. Each begins with its number."""
    hashes = list(map(crc32, content_words(text)))
    pairs = sorted(set(map(xor, hashes, hashes[1:])))
    if len(pairs) < _LEAST_PAIRS:
        return ()
    firsts = [pairs[bisect_left(pairs, place) % len(pairs)] for place in _PLACES]  # the first at or after each place
    return tuple((_SHOWN % tuple(firsts)).split())


def content_words(text: str) -> list[bytes]:
    """Return the folded words of what a sender says to everyone, in order, at most a fixed number."""
    own = own_text(text, _OWN)
    words = _words(own)
    if not DISCLAIMER_WORDS.isdisjoint(words):
        words = _words(without_disclaimers(own))
    return words[:_WORDS]


def _words(text: str) -> list[bytes]:
    octets = text.encode("utf-8", "replace")
    words = _split(octets.translate(_NO_CAPITALS, _PUNCTUATION))
    if len(words) >= _LEAST_WORDS:
        return words
    shouted = _split(octets.translate(_CAPITALS_TOO, _PUNCTUATION))
    return shouted if len(shouted) >= _LEAST_SHOUTED else words


def _split(octets: bytes) -> list[bytes]:
    if octets.isascii():
        return [word for word in octets.split() if len(word) >= _LEAST_LETTERS and word.isalpha()]
    words: list[bytes] = []
    for word in octets.split():
        if not word.isascii():
            words += _known_folded(word) if len(word) <= _LONGEST_KNOWN else _folded(word)
        elif len(word) >= _LEAST_LETTERS and word.isalpha():
            words.append(word)
    return words


def _folded(word: bytes) -> tuple[bytes, ...]:
    """Return the words of a non-ASCII token; in scripts without spaces, all pairs of neighbouring characters."""
    folded = fold(word.decode("utf-8"))
    if any(map(str.isdigit, folded)):
        return ()
    found: list[str] = []
    for run in _RUN.finditer(folded):
        if run[1]:
            found += map("".join, zip(run[1], run[1][1:], strict=False))
        elif len(run[0]) >= _LEAST_LETTERS:
            found.append(run[0])
    return tuple(word.encode("utf-8") for word in found)


_known_folded = lru_cache(maxsize=8_192)(_folded)


def _shown_text(html: str) -> str:
    """Return the words of HTML, each block on a line of its own. Unclosed comments and tags end with the text."""
    return _ENTITY.sub(" ", _TAG.sub(" ", _BLOCK.sub("\n", _UNSHOWN.sub(" ", html))))
