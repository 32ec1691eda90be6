"""Write characters that nobody sees, and those that move others about, as marks: `[U+202E]`."""

from __future__ import annotations

import unicodedata
from itertools import groupby

BLANK_LETTERS = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f"  # blank letters, which no Unicode category marks
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # ordinary within Persian words and emoji
_LONGEST = 100_000  # characters that are looked at


def marked(text: str) -> str:
    """Return a text with control, bidirectional and invisible characters as marks; line feeds and tabs stay.

    Several of one kind in a row are one mark with their number, `[U+200B x 12]`. Joiners between two letters or symbols
    that are seen stay. Time is linear.
    """
    text = text[:_LONGEST]
    if text.isascii() and text.isprintable():
        return text
    pieces, at = list[str](), 0
    for (is_unseen, character), run in groupby(text, key=_kind):
        length = sum(1 for _ in run)
        keeps = not is_unseen or (length == 1 and character in _JOINERS and _is_within(text, at))
        pieces.append(text[at : at + length] if keeps else _mark(character, length))
        at += length
    return "".join(pieces)


def marked_line(text: str, limit: int) -> str:
    """Return a text as `marked` does, on one line of at most `limit` characters."""
    line = " ".join(marked(text[: 4 * limit].replace("\n", " ").replace("\t", " ")).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _kind(character: str) -> tuple[bool, str]:
    """Return whether a character is unseen, and which it is; all that are seen are of one kind."""
    return (True, character) if _is_unseen(character) else (False, "")


def _is_unseen(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in _UNSEEN or character in BLANK_LETTERS


def _is_within(text: str, at: int) -> bool:
    beside = text[at - 1 : at] + text[at + 1 : at + 2]
    return len(beside) == 2 and not any(each.isspace() or each.isascii() or _is_unseen(each) for each in beside)


def _mark(character: str, number: int) -> str:
    return f"[U+{ord(character):04X}]" if number == 1 else f"[U+{ord(character):04X} x {number}]"
