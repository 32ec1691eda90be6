"""Which of many patterns are worth a look in a text: one look for all, since most texts look like none of them.

What a sieve lets through may still not be found; what it holds back is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from gatekeeper.rules.matching.patterns import AnyPattern, Regex

_LONGEST = 256  # characters; of a longer text a set's automaton could meet new states all the way


class PatternSet:
    """Tells the places of those patterns that may be found in a text."""

    def __init__(self, patterns: Sequence[AnyPattern]) -> None:
        expressions = {place: each for place, each in enumerate(patterns) if isinstance(each, Regex)}
        self._globs = [(each.piece, place) for place, each in enumerate(patterns) if not isinstance(each, Regex)]
        self._expressions = _Expressions(expressions) if expressions else None

    def through(self, text: str) -> list[int]:
        """The places, some perhaps twice; a pattern whose place is not among them is not found in the text."""
        folded = text.casefold()
        found = [place for piece, place in self._globs if piece in folded]
        return found + self._expressions.through(text) if self._expressions else found


class _Expressions:
    """Regular expressions as one RE2 set, which reads a text once."""

    def __init__(self, expressions: dict[int, Regex]) -> None:
        self._places = [*expressions]
        self._set = _compiled([expression.source for expression in expressions.values()])
        self._always = len(expressions)  # the place in the set of what is found in every text

    def through(self, text: str) -> list[int]:
        if self._set is None or len(text) > _LONGEST:
            return self._places
        found = self._set.Match(text) or ()
        if self._always not in found:  # it ran out of memory, which looks like a text in which nothing is found
            return self._places
        return [self._places[place] for place in found if place != self._always] if len(found) > 1 else []


def _compiled(sources: list[str]) -> re2.Set | None:
    """The expressions, and after them one that is found in every text; None where they are too many for one set."""
    options = re2.Options()
    options.log_errors, options.never_capture = False, True
    found = re2.Set.SearchSet(options)
    try:
        for source in (*sources, ""):
            found.Add(source)
        found.Compile()
    except re2.error:
        return None
    return found
