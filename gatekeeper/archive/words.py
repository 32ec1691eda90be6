"""Words as they are searched: of texts and of queries alike, so that every database finds the same.

The database gets words that need no reading any more: it neither folds nor cuts them. Case, accents and forms of
letters do not count. Scripts that are written without spaces have a word a letter, found by their order.
"""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 64  # letters of a word that count
# Chinese, Japanese, Thai, Lao, Burmese and Khmer
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_PIECE = 100  # characters folded at once: sorting combining marks takes quadratic time, and they are dropped
_SUBJECT = "ˢ"  # stands before a word of a subject; folded texts have no such letter


def words_of(text: str) -> list[str]:
    """Return the words of a text, in their order."""
    return [word[:_LONGEST] for word in _WORD.findall(_folded(text)) if word.isalnum()]


def subject_words(text: str) -> list[str]:
    """Return the words of a subject as they are found where only subjects are looked at."""
    return [f"{_SUBJECT}{word}" for word in words_of(text)]


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(_folded_piece(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))


def _folded_piece(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(letter))
