"""Search many patterns in a text at once, because most texts match none of them.

A pattern set returns candidates, which may still not match; patterns that are not candidates never match.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from gatekeeper.rules.matching.patterns import AnyPattern, Regex

_LONGEST = 256  # characters; in a longer text a set's automaton could build new states all the time


class PatternSet:
    """A set of patterns that returns the positions of those that may be found in a text."""

    def __init__(self, patterns: Sequence[AnyPattern]) -> None:
        expressions = {place: each for place, each in enumerate(patterns) if isinstance(each, Regex)}
        self._globs = [(each.piece, place) for place, each in enumerate(patterns) if not isinstance(each, Regex)]
        self._expressions = _Expressions(expressions) if expressions else None

    def candidates(self, text: str) -> list[int]:
        """Return positions of patterns, some perhaps twice. A pattern not among them is not found in the text."""
        folded = text.casefold()
        found = [place for piece, place in self._globs if piece in folded]
        return found + self._expressions.candidates(text) if self._expressions else found


class _Expressions:
    """Regular expressions as one RE2 set, which reads a text only once."""

    def __init__(self, expressions: dict[int, Regex]) -> None:
        self._places = [*expressions]
        self._set = _compiled([expression.source for expression in expressions.values()])
        self._always = len(expressions)  # position in the set of the empty expression, which every text matches

    def candidates(self, text: str) -> list[int]:
        if self._set is None or len(text) > _LONGEST:
            return self._places
        found = self._set.Match(text) or ()
        if self._always not in found:  # RE2 ran out of memory, which looks like a text that matches nothing
            return self._places
        return [self._places[place] for place in found if place != self._always] if len(found) > 1 else []


def _compiled(sources: list[str]) -> re2.Set | None:
    """Compile the expressions, and the empty one after them, into a set; None where they are too many for one set."""
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
