"""Words as they are searched: of texts and of queries alike, so that every database finds the same.

The database gets words that need no reading any more: it neither folds nor cuts them. Case, accents and forms of
letters do not count. Scripts that are written without spaces have a word a letter, found by their order.
"""

from __future__ import annotations

import re

from gatekeeper.lib.plain_letters import plain_letters

_LONGEST = 64  # letters of a word that count
# Chinese, Japanese, Thai, Lao, Burmese and Khmer
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_SUBJECT = "ˢ"  # stands before a word of a subject; folded texts have no such letter


def words_of(text: str) -> list[str]:
    """Return the words of a text, in their order."""
    return [word[:_LONGEST] for word in _WORD.findall(plain_letters(text)) if word.isalnum()]


def subject_words(text: str) -> list[str]:
    """Return the words of a subject as they are found where only subjects are looked at."""
    return [f"{_SUBJECT}{word}" for word in words_of(text)]
