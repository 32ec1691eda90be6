"""Texts as they are compared where case, accents and forms of letters do not count: in searches, and by holds."""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point (Unicode 15.1, DerivedCoreProperties.txt): what shows nothing parts no word
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_PIECE = 100  # characters folded at once: sorting combining marks takes quadratic time, and they are dropped


def plain_letters(text: str) -> str:
    """Return a text in small letters without accents, with forms of letters as one, and without what shows nothing."""
    if text.isascii():
        return text.lower()
    text = _UNSEEN.sub("", text)
    return "".join(_plain_piece(text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))


def _plain_piece(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold().replace("\u0131", "i")  # I without a dot: I in capitals
    return "".join(letter for letter in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(letter))
