"""The difference of two texts by words, for people who have seen one and read the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from gatekeeper.lib.immutable import immutable

_MOST = 2_000  # words of each that are compared
_WORDS = re.compile(r"\S+|\n")
SAME, GONE, NEW = "same", "gone", "new"


@immutable
class Change:
    """A stretch of words that both texts have, or only the earlier or the later one."""

    kind: str  # same, gone, new
    text: str


def changes(before: str, after: str) -> tuple[tuple[Change, ...], bool]:
    """Return what changed from one text to another, and whether there is more of them than was compared."""
    one, other = _WORDS.findall(before), _WORDS.findall(after)
    is_cut = max(len(one), len(other)) > _MOST
    return tuple(_changes(one[:_MOST], other[:_MOST])), is_cut


def _changes(one: list[str], other: list[str]) -> Iterator[Change]:
    for tag, start, end, begin, stop in SequenceMatcher(None, one, other).get_opcodes():
        if tag == "equal":
            yield Change(SAME, _joined(one[start:end]))
            continue
        if start < end:
            yield Change(GONE, _joined(one[start:end]))
        if begin < stop:
            yield Change(NEW, _joined(other[begin:stop]))


def _joined(words: list[str]) -> str:
    return " ".join(words).replace(" \n ", "\n").strip(" ")
