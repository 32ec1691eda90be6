"""Cut a text into the words by which it is compared with others, however it is dressed.

Letters i and l are one, because 1, I and | stand for either. Look-alikes, accents and case are folded.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from gatekeeper.lib.plain_letters import UNSEEN
from gatekeeper.message.text_normalisation import fold

LEAST_LETTERS = 4  # shorter words are in every text
_LONGEST_KNOWN = 80  # octets, a line; longer tokens are not cached. Without spaces a whole text is one, like no other
_LEAST_DRESSED = 4  # words in capitals or with digits in them, and an eighth of all: a dressed text
_LEAST_TITLED = 24  # words, a quarter of them with a capital: a text in title case, in part too, or of names

# Marks of words that differ between copies become a 0, so that bytes.isalpha() refuses the whole word. Other
# punctuation is deleted, so that a link does not fall apart into words.
_MARKS = b"@/\\:=&%#$+~^0123456789"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_CAPITALS = _LETTERS.upper()
_PUNCTUATION = bytes(set(range(0x21, 0x7F)) - set(_MARKS + _LETTERS + _CAPITALS))
_NO_CAPITALS = bytes.maketrans(_MARKS + _CAPITALS + b"i", b"0" * len(_MARKS + _CAPITALS) + b"l")
_CAPITALS_TOO = bytes.maketrans(_MARKS + _CAPITALS + b"i", b"0" * len(_MARKS) + _LETTERS.replace(b"i", b"l") + b"l")
_DIGITS, _MEANT = "013456789@$!|2", "oleasgtbgasllz"
_DIGITS_AS_LETTERS = str.maketrans(_DIGITS, _MEANT)
_AS_LETTERS = bytes.maketrans(
    _CAPITALS + b"i" + _DIGITS.encode(), _LETTERS.replace(b"i", b"l") + b"l" + _MEANT.encode()
)
_MIXED = re.compile(r"[A-Z]{4,}+|[a-z][0-9@$A-Z]|[0-9@$][a-z]")
_KINDS = bytes.maketrans(_LETTERS + _CAPITALS + b"0123456789@$", b"a" * 26 + b"A" * 26 + b"0" * 12)
_MIXED_KINDS = (b"AAAA", b"a0", b"aA", b"0a")  # at least as many of these as of the above
_TITLED_KINDS = (b" Aa", b"\nAa")
_DRESS = _CAPITALS + _DIGITS.encode()
_EDGES = ".,;:?\"'()[]<>{}*_-\u2018\u2019\u201c\u201d\u2026"
_INNER_PUNCTUATION = str.maketrans("", "", "'-\u2019.*_")
UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # scripts that put no space between words
_RUN = re.compile(rf"([{UNSPACED}]+)|[^\W\d_{UNSPACED}]+")
_INVISIBLE = re.compile(f"[{UNSEEN}]+")  # within words
_NO_BREAK_SPACES = re.compile("\xa0\xa0*+")  # written so, a search can skip to the first one
_ASCII = bytes(range(0x80))
_BETWEEN_WORDS = bytes(each for each in range(0x100) if not (each < 0x80 and chr(each).isalnum()))
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]+")


def plainly_spaced(text: str) -> str:
    """Return the text without invisible characters, its spaces all alike."""
    if text.isascii():
        return text
    others = text.encode("utf-8", "replace").translate(None, _ASCII).decode("utf-8")  # few in most languages
    if _INVISIBLE.search(others):
        text = _INVISIBLE.sub("", text)
    spaces = "".join(_SPACES.findall(others))
    return (_SPACES if spaces.strip("\xa0") else _NO_BREAK_SPACES).sub(" ", text) if spaces else text


def length_of_words(text: str) -> int:
    """Return how many letters and digits a text has."""
    octets = text.encode("utf-8", "replace")
    others = "" if octets.isascii() else octets.translate(None, _ASCII).decode("utf-8")
    return len(octets.translate(None, _BETWEEN_WORDS)) + sum(map(str.isalnum, others))


def plain_words(text: str, least: int = LEAST_LETTERS) -> list[bytes]:
    """Return the words of at least so many letters that have no capital, digit or mark, folded."""
    return _split(text, _NO_CAPITALS, least)


def all_words(text: str) -> list[bytes]:
    """Return the words of at least three letters, with or without capitals, folded."""
    return _split(text, _CAPITALS_TOO, 3)


def _split(text: str, table: bytes, least: int) -> list[bytes]:
    octets = text.encode("utf-8", "replace").translate(table, _PUNCTUATION)
    if octets.isascii():
        return [word for word in octets.split() if len(word) >= least and word.isalpha()]
    words: list[bytes] = []
    for word in octets.split():
        if not word.isascii():
            known = _known_folded if len(word) <= _LONGEST_KNOWN else _folded
            words += known(word, least, table is _CAPITALS_TOO)
        elif len(word) >= least and word.isalpha():
            words.append(word)
    return words


def _folded(word: bytes, least: int, capitals: bool) -> tuple[bytes, ...]:
    """Return the words of a non-ASCII token; in scripts without spaces, all pairs of neighbouring characters."""
    text = word.decode("utf-8")
    folded = fold(text)
    if any(map(str.isdigit, folded)) or not (capitals or text == text.lower()):
        return ()
    found: list[str] = []
    for run in _RUN.finditer(folded):
        if run[1]:
            found += map("".join, zip(run[1], run[1][1:], strict=False))
        elif len(run[0]) >= least:
            found.append(run[0])
    return tuple(word.encode("utf-8").translate(_CAPITALS_TOO) for word in found)


_known_folded = lru_cache(maxsize=8_192)(_folded)


# -- dressed up --------------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    """A word of a text that may be dressed."""

    words: tuple[bytes, ...]  # none for numbers, codes and short words; several only in scripts without spaces
    dress: str = ""  # "" for a plain one, "name" with a capital first, "capitals", "mixed" for both cases, "digits"
    is_name: bool = False  # with a capital first and no other, digits or not


def may_be_dressed(text: str, spaces: int, plain: int) -> bool:
    """Return False for nearly all texts, by the number of their plain words, and by that of capitals and digits.

    Args: `spaces` is how many spaces and line ends the text has, nearly as many as it has words.
    """
    octets = text.encode("ascii", "ignore")
    fewest = max(_LEAST_DRESSED, spaces // 8)
    if 2 * len(octets) < len(text):
        return sum(map(str.isupper, text)) >= fewest
    dress = len(octets) - len(octets.translate(None, _DRESS))
    if dress < fewest:
        return False
    kinds = octets.translate(_KINDS)
    if spaces >= _LEAST_TITLED and (
        4 * plain < spaces < 3 * dress or 4 * sum(map(kinds.count, _TITLED_KINDS)) > spaces
    ):
        return True
    least = max(_LEAST_DRESSED, spaces // 10)
    return sum(map(kinds.count, _MIXED_KINDS)) >= least and len(_MIXED.findall(text)) >= least


def undressed_words(text: str, least: int = LEAST_LETTERS) -> list[bytes]:
    """Return the words of a text in capitals, in title case or with digits for letters, as if it were not; else []."""
    found: list[tuple[_Token, bool]] = []  # each with whether it starts a sentence, where a plain word has a capital
    starts = False
    for written in text.split():
        token = _known_token(written, least) if len(written) <= _LONGEST_KNOWN else _token(written, least)
        if token.words:
            found.append((token, starts))
        starts = written[-1] in ".!?:"
    number = Counter([token.dress for token, _ in found])
    titled = len(found) >= _LEAST_TITLED and 4 * number["name"] >= len(found)
    dressed = number["capitals"] + number["mixed"] + number["digits"]
    if not titled and (dressed < _LEAST_DRESSED or 8 * dressed < len(found)):
        return []
    anyhow = titled or 6 * number["mixed"] >= len(found)  # then a capital first does not show a name
    return [word for token, starts in found if not (starts or (token.is_name and not anyhow)) for word in token.words]


def _token(written: str, least: int) -> _Token:
    is_address = "@" in written and "." in written
    bare = "" if is_address else written.strip(_EDGES).rstrip("!|").translate(_INNER_PUNCTUATION)
    words = _undressed(bare, least)
    if not words:
        return _NO_WORD
    is_name = bare[0].isupper() and bare[1:] == bare[1:].lower()
    return _Token(words, "name" if is_name and bare.isalpha() else _dress(bare), is_name)


_NO_WORD = _Token(())
_known_token = lru_cache(maxsize=8_192)(_token)


def _dress(bare: str) -> str:
    if not bare.isalpha():
        return "digits"
    if bare == bare.lower():
        return ""
    return "capitals" if bare == bare.upper() else "mixed"


def _undressed(bare: str, least: int) -> tuple[bytes, ...]:
    """Return the words of a token, digits among letters taken for these; () for numbers, codes and short words."""
    if len(bare) < least or not (bare.isalpha() or 3 * sum(map(str.isalpha, bare)) >= len(bare)):
        return ()
    if not bare.isascii():
        return _folded(bare.lower().translate(_DIGITS_AS_LETTERS).encode("utf-8", "replace"), least, True)
    word = bare.encode("ascii").translate(_AS_LETTERS)
    return (word,) if word.isalpha() else ()
