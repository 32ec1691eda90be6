"""The patterns of `like` and `matches`, which both take time linear in the text."""

from __future__ import annotations

import re
from typing import Any

import re2

from gatekeeper.lib.immutable import immutable

_WILDCARD = re.compile(r"[*?]")


class PatternError(ValueError):
    """An invalid pattern; the text says why."""


@immutable
class Regex:
    """A regular expression of RE2, searched anywhere in a text."""

    source: str
    compiled: Any

    def found_in(self, text: str) -> bool:
        """Return True where a part of the text matches the expression."""
        return self.compiled.search(text) is not None


@immutable
class Glob:
    """A glob with `*` only: literal pieces with anything between them, matched against the whole text, in any case."""

    pieces: tuple[str, ...]  # casefolded; at least two

    @property
    def piece(self) -> str:
        """Return the longest piece, without which no casefolded text matches."""
        return max(self.pieces, key=len)

    def found_in(self, text: str) -> bool:
        """Return True where the whole text consists of the pieces in order, with anything between them."""
        folded = text.casefold()
        first, *middle, last = self.pieces
        if len(folded) < len(first) + len(last) or not (folded.startswith(first) and folded.endswith(last)):
            return False
        place, end = len(first), len(folded) - len(last)
        for piece in middle:  # the first occurrence leaves the most room for the other pieces
            place = folded.find(piece, place, end)
            if place < 0:
                return False
            place += len(piece)
        return True


@immutable
class FoldedRegex:
    """A glob with `?`, or without `*`, which RE2 matches on the casefolded text."""

    regex: Regex
    piece: str  # the longest literal piece, without which no casefolded text matches

    def found_in(self, text: str) -> bool:
        """Return True where the whole text matches the glob."""
        return self.regex.found_in(text.casefold())


def read_regex(text: str) -> Regex:
    """Compile a regular expression; raises PatternError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return Regex(text, re2.compile(text, options=options))
    except re2.error as error:
        reason = error.args[0]
        raise PatternError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None


def read_glob(text: str) -> Glob | FoldedRegex:
    """Compile a pattern in which `*` stands for anything and `?` for one character; all else is literal."""
    folded = text.casefold()
    if "*" in folded and "?" not in folded:
        return Glob(tuple(folded.split("*")))
    special = {"*": ".*", "?": "."}
    source = "".join(special.get(letter) or str(re2.escape(letter)) for letter in folded)
    return FoldedRegex(read_regex(f"(?s)^{source}$"), max(_WILDCARD.split(folded), key=len))


AnyPattern = Regex | Glob | FoldedRegex
