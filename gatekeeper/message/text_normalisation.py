"""Fold text for comparison: texts that look the same become the same."""

from __future__ import annotations

import re
import unicodedata

from gatekeeper.lib.marks import BLANK_LETTERS
from gatekeeper.message.look_alikes import LOOK_ALIKES

# What look_alikes.py, made from Unicode's data, does not have: looks after case folding.
_LOOKS_BESIDE = {
    "e": "є",
    "n": "п",
    "w": "ω",
    "y": "ү",
    ".": "。․܁܂ꓸ꘎",
    "-": "‐‑‒–—―−",
    "'": "’‘ʼ",
    '"': "“”„«»",
}
_FOLDS = str.maketrans(
    {look: letters for table in (_LOOKS_BESIDE, LOOK_ALIKES) for letters, looks in table.items() for look in looks}
    | dict.fromkeys(BLANK_LETTERS)
)
_BLANKS = str.maketrans(dict.fromkeys(BLANK_LETTERS))
_ACCENTS = re.compile("[\u0300-\u036f\ufe00-\ufe0f]")
_REST = re.compile(r"[^\x20-\x7e]")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def fold(text: str) -> str:
    """Fold compatibility forms, case, accents and look-alikes; remove control, format and invisible characters.

    A run of white space becomes one space. Folding the result again changes nothing.
    """
    folded = _once(text)
    if text.isascii() and text.isprintable():
        return folded
    while (again := _once(folded)) != folded:
        folded = again
    return folded


def _once(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", text)).translate(_FOLDS)
    text = " ".join(text.split()).casefold()
    return _REST.sub(_visible, text) if not (text.isascii() and text.isprintable()) else text


def visible(text: str) -> str:
    """Return the text without the characters that `fold` removes: control, format and blank ones, and accents.

    A run of white space becomes one space. What is cut to a length is cut afterwards, so that nothing can hide behind
    characters that nobody sees.
    """
    text = " ".join(text.split())
    if text.isascii() and text.isprintable():
        return text
    return _REST.sub(_visible, _ACCENTS.sub("", text).translate(_BLANKS))


def _visible(character: re.Match[str]) -> str:
    return "" if unicodedata.category(character[0]) in _DROPPED else character[0]
