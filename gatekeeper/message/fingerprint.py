"""Compute fingerprints of a text. Copies that differ only by mail merge or random salt share at least one of them.

The words used are the sender's own words that are long enough to carry meaning and do not differ between copies: no
names (capitals), numbers, links or addresses. Every two neighbouring words are a pair, and the hash of a pair is a
point on a circle. A fingerprint is made of the first pairs at or after two fixed places on the circle (min-hash bands:
Broder 1997; the circle as in Karger's consistent hashing, 1997). A changed word changes a fingerprint only where its
new pair lands between a place and the pair found there. Texts that share few pairs hardly ever share both pairs of a
fingerprint. docs/mailings.md has the figures by which the constants were chosen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from operator import xor
from zlib import crc32

from gatekeeper.message.body_text import DISCLAIMER_WORDS, own_text, without_disclaimers
from gatekeeper.message.words import may_be_dressed, plain_words, plainly_spaced, undressed_words

FINGERPRINTS = 4
OWN = 1_536  # characters of a sender's own words that are read
_LEAST_PAIRS = 8  # fewer pairs are too little to tell texts apart
_WORDS = 96  # words that count: enough to recognise a text, at a bounded cost
_FIRST_PAIRS = 23  # that the first fingerprint is made of, so that no words put behind a text change it

_CIRCLE = 1 << 32
_GOLDEN = 0.618_033_988_75  # the golden ratio: steps of this size keep any number of places well apart
_PLACES = tuple(  # two for each fingerprint
    int((number * _GOLDEN + half) % 1 * _CIRCLE) for number in range(FINGERPRINTS) for half in (0, 0.5)
)
_DISCLAIMER_WORDS = frozenset(word for known in DISCLAIMER_WORDS for word in plain_words(known.decode("ascii")))
_SHOWN = " ".join(f"{number}-%08x%08x" for number in range(FINGERPRINTS))


def fingerprints(text: str) -> tuple[str, ...]:
    """Return the fingerprints of what a sender says to everyone in a text; () where it has too few words.

    Each begins with its number. A text in capitals, or with digits for letters, has those of the plain one, too.
    """
    return fingerprints_of_own(own_text(plainly_spaced(text), OWN))


def fingerprints_of_own(own: str) -> tuple[str, ...]:
    """Return the fingerprints of a text that is cut down already."""
    return read_own(own)[0]


def read_own(own: str) -> tuple[tuple[str, ...], bool]:
    """Return the fingerprints of a text that is cut down already, and whether its words may be dressed."""
    spaces = own.count(" ") + own.count("\n")
    if spaces < _LEAST_PAIRS and own.isascii():
        return (), may_be_dressed(own, spaces, 0)
    words = _content(own, plain_words)
    found = _of_words(words)
    if not may_be_dressed(own, spaces, len(words)):
        return found, False
    undressed = _of_words(_content(own, undressed_words))
    return tuple(dict.fromkeys(undressed + found)), True


def _of_words(words: list[bytes]) -> tuple[str, ...]:
    if len(words) <= _LEAST_PAIRS:
        return ()
    hashes = list(map(crc32, words[:_WORDS]))
    pairs = list(map(xor, hashes, hashes[1:]))
    begin = set(pairs[:_FIRST_PAIRS])
    if len(begin) < _LEAST_PAIRS and len(set(pairs)) < _LEAST_PAIRS:
        return ()
    if len(pairs) > _FIRST_PAIRS and len(begin) >= _LEAST_PAIRS:
        firsts = _firsts(begin, _PLACES[:2]) + _firsts(pairs, _PLACES[2:])
    else:
        firsts = _firsts(pairs, _PLACES)
    return tuple((_SHOWN % tuple(firsts)).split())


def _firsts(pairs: Iterable[int], places: Sequence[int]) -> list[int]:
    """Return the first of the pairs at or after each of the places on the circle."""
    ordered = sorted(pairs)
    return [ordered[bisect_left(ordered, place) % len(ordered)] for place in places]


def content_words(text: str) -> list[bytes]:
    """Return the folded words of what a sender says to everyone, in order, at most a fixed number."""
    return content_words_of_own(own_text(plainly_spaced(text), OWN))


def content_words_of_own(own: str) -> list[bytes]:
    """Return the words of a text that is cut down already, without disclaimers."""
    return _content(own, plain_words)[:_WORDS]


def _content(own: str, read: Callable[[str], list[bytes]]) -> list[bytes]:
    words = read(own)
    if not _DISCLAIMER_WORDS.isdisjoint(words):
        words = read(without_disclaimers(own))
    return words
