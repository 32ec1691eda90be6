"""The query of a search: words, "phrases", prefix*, OR, -not. Pure.

All parts must be found, but for OR, either side of which is looked for by itself. What is no letter or digit separates
words: `jo@doa.example.gov` is a phrase of four. What other programs take for an operator, and this one does not, is
refused: whoever writes `AND NOT`, brackets or `*ment` would get another answer than they asked for, and not see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

from gatekeeper.archive.words import words_of

MOST_WORDS = 30  # of a phrase
_MOST_PARTS = 100  # of a query
_TOKEN = re.compile(r'-?"[^"]*"\*?|\S+')
_STAR_WITHIN = re.compile(r'\*\w|\w\*+[^*"]')
_OR = "OR"
_OTHERS = {
    "AND": "AND: expected the words beside each other, which are all looked for",
    "NOT": "NOT: expected a hyphen before what is not to be found, such as -lunch",
}


class QueryError(ValueError):
    """A query that cannot be read; the text says what was expected."""


@dataclass(frozen=True)
class Phrase:
    """Words that follow each other; of the last one a beginning is enough where `is_prefix`."""

    words: tuple[str, ...]
    is_prefix: bool = False

    def stands_in(self, words: list[str]) -> bool:
        """Return True where these words follow each other in a text."""
        *first, last = self.words
        length = len(first)
        return any(
            words[at : at + length] == first and self._ends(words[at + length], last)
            for at in range(len(words) - length)
        )

    def _ends(self, word: str, last: str) -> bool:
        return word.startswith(last) if self.is_prefix else word == last

    def __str__(self) -> str:
        text = " ".join(self.words) + "*" * self.is_prefix
        return f'"{text}"' if len(self.words) > 1 else text


@dataclass(frozen=True)
class Query:
    """Either of these; each is phrases that must be there, and phrases that must not."""

    either: tuple[tuple[frozenset[Phrase], frozenset[Phrase]], ...]

    def __str__(self) -> str:
        each = [
            " AND ".join([*map(str, _sorted(wanted)), *(f"NOT {p}" for p in _sorted(not_))])
            for wanted, not_ in self.either
        ]
        return each[0] if len(each) == 1 else " OR ".join(f"({text})" for text in each)

    def matches(self, words: list[str]) -> bool:
        """Return True for a text of these words that no database has."""
        return any(
            all(each.stands_in(words) for each in wanted) and not any(each.stands_in(words) for each in unwanted)
            for wanted, unwanted in self.either
        )

    def find(self, ids_of: Callable[[Phrase], Set[int]], all_ids: Callable[[], Set[int]]) -> set[int]:
        """Return the ids of what the query finds.

        Args: `ids_of` returns those with a phrase, `all_ids` those of everything, for a query that only excludes.
        """
        found: set[int] = set()
        for wanted, unwanted in self.either:
            some = set(all_ids()) if not wanted else set.intersection(*(set(ids_of(each)) for each in wanted))
            for each in unwanted if some else ():
                some -= ids_of(each)
            found |= some
        return found


def read_query(text: str) -> Query:
    """Read a query. Raises QueryError."""
    either: list[tuple[set[Phrase], set[Phrase]]] = [(set(), set())]
    tokens = list(_tokens(text))
    if not tokens:
        raise QueryError("expected words to look for")
    if len(tokens) > _MOST_PARTS:
        raise QueryError(f"expected at most {_MOST_PARTS} parts")
    for token in tokens:
        if token == _OR:
            if either[-1] == (set(), set()):
                raise QueryError("OR: expected something to look for on either side")
            either.append((set(), set()))
            continue
        _check_token(token, len(tokens))
        is_not = token.startswith("-")
        either[-1][is_not].add(_phrase(token[is_not:], token))
    if either[-1] == (set(), set()):
        raise QueryError("OR: expected something to look for on either side")
    return Query(tuple((frozenset(wanted), frozenset(unwanted)) for wanted, unwanted in either))


def _check_token(token: str, tokens: int) -> None:
    """Refuse what would be read in another way than it was meant. Raises QueryError."""
    if tokens > 1 and token in _OTHERS:
        raise QueryError(_OTHERS[token])
    is_quoted = token.removeprefix("-").startswith('"')
    if not is_quoted and '"' in token:
        raise QueryError(f'{token!r}: expected a blank before the first " of a phrase')
    if not is_quoted and tokens > 1 and token.count("(") != token.count(")"):
        raise QueryError(f"{token!r}: expected no brackets: all that stands on one side of OR belongs together")
    if _STAR_WITHIN.search(token):
        raise QueryError(f"{token!r}: expected * at the end of a word alone, such as enrol*")


def subject_query(text: str, marked: Callable[[str], list[str]]) -> tuple[Phrase, ...]:
    """Return the words of a subject that is looked for, each as `marked` has it. Raises QueryError."""
    words = marked(text)
    if not words:
        raise QueryError(f"{text!r} has no letters or digits to look for")
    return tuple(Phrase((word,)) for word in words)


def _tokens(text: str) -> Iterator[str]:
    if text.count('"') % 2:
        raise QueryError('expected a second " after the first')
    yield from _TOKEN.findall(text)


def _phrase(token: str, shown: str) -> Phrase:
    is_prefix = token.endswith(("*", '*"'))
    words = tuple(words_of(token))
    if not words:
        raise QueryError(f"{shown!r} has no letters or digits to look for")
    if len(words) > MOST_WORDS:
        raise QueryError(f"{shown[:40]!r}...: expected a phrase of at most {MOST_WORDS} words")
    return Phrase(words, is_prefix)


def _sorted(phrases: Set[Phrase]) -> list[Phrase]:
    return sorted(phrases, key=lambda each: (each.words, each.is_prefix))
