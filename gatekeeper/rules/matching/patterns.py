"""Patterns of `like` and `matches`, both in time linear in the text."""

from __future__ import annotations

import re
from typing import Any

import re2

from gatekeeper.lib.immutable import immutable

_WILDCARD = re.compile(r"[*?]")


class PatternError(ValueError):
    """The pattern has no meaning; the text says why."""


@immutable
class Regex:
    """A regular expression of RE2, found anywhere in a text."""

    source: str
    compiled: Any

    def found_in(self, text: str) -> bool:
        """True where some part of the text is what the expression describes."""
        return self.compiled.search(text) is not None


@immutable
class Glob:
    """Literal pieces with anything between them, from end to end, in any case."""

    pieces: tuple[str, ...]  # casefolded; at least two

    @property
    def piece(self) -> str:
        """The longest piece; it is found in no casefolded text without this."""
        return max(self.pieces, key=len)

    def found_in(self, text: str) -> bool:
        """True where the whole text is the pieces in their order."""
        folded = text.casefold()
        first, *middle, last = self.pieces
        if len(folded) < len(first) + len(last) or not (folded.startswith(first) and folded.endswith(last)):
            return False
        place, end = len(first), len(folded) - len(last)
        for piece in middle:  # the first occurrence leaves most room for the rest
            place = folded.find(piece, place, end)
            if place < 0:
                return False
            place += len(piece)
        return True


@immutable
class FoldedRegex:
    """A glob with `?`, or without `*`, which RE2 does on the casefolded text."""

    regex: Regex
    piece: str  # the longest that is literal; it is found in no casefolded text without this

    def found_in(self, text: str) -> bool:
        """True where the whole text is what the glob describes."""
        return self.regex.found_in(text.casefold())


def read_regex(text: str) -> Regex:
    """Compile a regular expression; raises PatternError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return Regex(text, re2.compile(text, options=options))
    except re2.error as error:
        told = error.args[0]
        raise PatternError(told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)) from None


def read_glob(text: str) -> Glob | FoldedRegex:
    """Compile a pattern in which `*` is anything and `?` one character; everything else is itself."""
    folded = text.casefold()
    if "*" in folded and "?" not in folded:
        return Glob(tuple(folded.split("*")))
    special = {"*": ".*", "?": "."}
    source = "".join(special.get(letter) or str(re2.escape(letter)) for letter in folded)
    return FoldedRegex(read_regex(f"(?s)^{source}$"), max(_WILDCARD.split(folded), key=len))


AnyPattern = Regex | Glob | FoldedRegex
