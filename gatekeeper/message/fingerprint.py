"""Fingerprints of a text: copies that differ in what a mail merge or a salt changes share at least one of several.

Of the sender's own words those are taken that are long enough to carry meaning and hold nothing that differs between
copies: no names (capitals), numbers, links or addresses. Every two neighbours are a pair, and pairs are points on a
circle by their hash. A fingerprint is made of the first pairs at or after two fixed places on it (min-hash bands:
Broder 1997; the circle as in Karger's consistent hashing, 1997). A changed word moves a fingerprint only where it lands
between a place and its pair; texts that share few pairs hardly ever share the two of a fingerprint. docs/mailings.md
has the figures that the constants were chosen by.
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
from gatekeeper.message.text_parts import Text

FINGERPRINTS = 4
LEAST_PAIRS = 8  # in fewer there is too little to tell texts apart
_LEAST_WORDS = LEAST_PAIRS + 1
_LEAST_SHOUTED = 24  # words of a text all in capitals, or with names for the most part
_OWN = 1_536  # characters of a sender's own words that are looked at
_WORDS = 96  # of them that count: enough to know a text by, and what it costs is bounded
_LEAST_LETTERS = 4  # a word of fewer is in every text

_CIRCLE = 1 << 32
_GOLDEN = 0.618_033_988_75  # steps of this share of a circle keep any number of places well apart
_PLACES = tuple(
    (int(number * _GOLDEN % 1 * _CIRCLE), int((number * _GOLDEN + 0.5) % 1 * _CIRCLE)) for number in range(FINGERPRINTS)
)

# Marks of what differs between copies become a 0, so that bytes.isalpha() refuses the whole word; other punctuation
# goes, lest a link fall apart into words.
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


def text_fingerprints(texts: Sequence[Text], sample: int) -> tuple[str, ...]:
    """Fingerprints by the first `sample` characters of the message's own text; none where it is too short to tell.

    Plain text is preferred to HTML, which says the same in the mail that has both. Nested messages have no part in it.
    """
    own = [text for text in texts if text.part.parent is None or not _is_nested(text.part)]
    plain = "\n".join(text.text[:sample] for text in own if not text.is_html)[:sample]
    found = fingerprints(plain)
    return fingerprints(_html(own, sample)) if not found and any(text.is_html for text in own) else found


def _is_nested(part: Part) -> bool:
    return any(holder.is_message for holder in ancestors(part))


def _html(texts: Sequence[Text], sample: int) -> str:
    return "\n".join(shown_text(text.text[: 4 * sample]) for text in texts if text.is_html)[:sample]


def fingerprints(text: str) -> tuple[str, ...]:
    """Fingerprints of a plain text, () where it has too few words. Each begins with its number."""
    hashes = list(map(crc32, content_words(text)))
    pairs = sorted(set(map(xor, hashes, hashes[1:])))
    if len(pairs) < LEAST_PAIRS:
        return ()
    return tuple(f"{number}-{_next(pairs, a):08x}{_next(pairs, b):08x}" for number, (a, b) in enumerate(_PLACES))


def _next(points: list[int], place: int) -> int:
    return points[bisect_left(points, place) % len(points)]


def content_words(text: str) -> list[bytes]:
    """Folded words, in order and at most a fixed number, of what a sender says to everyone."""
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
            words += _folded(word)
        elif len(word) >= _LEAST_LETTERS and word.isalpha():
            words.append(word)
    return words


@lru_cache(maxsize=8_192)
def _folded(word: bytes) -> tuple[bytes, ...]:
    """Words of one that is not all ASCII; of a script without spaces every two neighbouring characters."""
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


def shown_text(html: str) -> str:
    """The words of HTML, blocks on lines of their own. Unclosed comments and tags end with the text."""
    return _ENTITY.sub(" ", _TAG.sub(" ", _BLOCK.sub("\n", _UNSHOWN.sub(" ", html))))
