"""Fold a subject into the key that all messages on that subject share."""

from __future__ import annotations

import re

from gatekeeper.message.text_normalisation import fold

_ENDING = 80  # characters at the end that are searched for removable marks
_LONGEST = 500  # characters that count; RFC 5322 2.1.1 allows a line of 998
# Reply and forward marks of mail programs in many languages. Some are numbered: Re[2]:, Re^3:, Re(4):, RE2:
_MARKS = (
    "re|r|aw|antw|antwort|sv|vs|vb|ref|rif|res|rv|resp|odp|fw|fwd|wg|tr|enc|doorst|i|pd|fs|vl|ynt|ilt|bls|"
    "回复|答复|转发|回覆|轉寄|回信|転送|返信|전달|회신|отв|ha|пересл"
)
_LEADING = re.compile(
    r"(?:(?:"
    + fold(_MARKS)
    + r")\s?(?:\[\d{1,3}\]|\(\d{1,3}\)|\^?\d{1,3})?\s?:\s?|\[[^\[\]]{1,60}\]\s?|[^\w\s\[(#]+\s?)+"
)
_NUMBER = r"\d{1,4}"
_TRAILING = re.compile(
    rf"(?:\s?\((?:fwd?|forwarded)\)|\s?[\[(]{_NUMBER}\s?(?:/|of|von|de)\s?{_NUMBER}[\])]|\s#{_NUMBER}"
    rf"|\s(?:part|teil|parte|partie)\s{_NUMBER}(?:\s?(?:/|of|von|de)\s?{_NUMBER})?|(?<![^\w\s\])])[^\w\s\])]++|\s)\Z"
)


def subject_key(subject: str | None) -> str:
    """Return the subject folded for comparison; "" only where nothing in it is visible.

    Folds look-alikes, case and white space. Removes reply and forward marks, bracketed list names, "(fwd)", numbering
    such as (1/3), #2 or part 2 of 5 at the end, and outer punctuation, unless that would leave nothing. Folding the
    result again changes nothing.
    """
    if not subject:
        return ""
    key = fold(subject[: 2 * _LONGEST])[:_LONGEST].strip()
    while (shorter := _stripped(key)) != key:
        key = shorter
    return key


def _ends_with_a_mark(text: str) -> bool:
    """Return False where nothing at the end can be a mark, since no mark ends with a letter."""
    return not text[-1:].isalpha()


def _stripped(key: str) -> str:
    """Remove marks once. The caller repeats this until nothing changes, because marks and numbers may alternate."""
    lead = _LEADING.match(key)
    rest = key[lead.end() :] if lead else key
    rest = rest.strip() or key
    if not _ends_with_a_mark(rest):
        return rest
    tail = _TRAILING.search(ending := rest[-_ENDING:])
    shorter = rest[: len(rest) - len(ending) + tail.start()] if tail else rest
    return shorter.strip() or rest
