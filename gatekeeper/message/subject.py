"""Fold a subject into the key that all messages on that subject share.

What differs between the copies of one mailing is removed: marks of replies, forwards and automatic mail at the start,
and numbers, dates and references at either end. A subject that has nothing else keeps them.
"""

from __future__ import annotations

import re

from gatekeeper.message.subject_words import COUNTED, DATES, EARLIER, JOINING, MARKS, NUMBERS
from gatekeeper.message.text_normalisation import fold, visible

_LONGEST = 500  # characters that count; RFC 5322 2.1.1 allows a line of 998
_ENDING = 80  # characters at the end that are searched for brackets and punctuation
_RESUME = re.compile("r(?:é|e\u0301)sum(?:é|e\u0301)", re.I)  # accents alone tell it from another word

_MARK_ENDS = re.compile(r"[:|*\])}>】]|- ")
_LONGEST_MARK = 48  # characters
_AROUND_MARK, _BEHIND_MARK = " ?!", " :*])}!"
_SURELY_ENDS = ":])"  # the mark of one letter
_MARKED_AGAIN = re.compile(r"\s?(?:\[\d{1,3}|\(\d{1,3}|\^?\d{1,3})\Z")  # Re[2]:, Re^3:, Re(4):, RE2:
_BEFORE = re.compile(r"(?:\[[^\[\]]{1,60}\]\s?|(?>[^\w\s\[(#]|_)++\s?)+")
_AFTER = re.compile(r"(?<![^\w\s\])}>])(?<!_)(?>[^\w\s\])}>]|_)++\Z")
_LANGUAGE = re.compile(r"(?:\A|\s)[a-z](?:\+\+|#)\Z")  # C++, C#, F#: not punctuation
_BRACKETS = re.compile(r"[\[({<]([^\[\](){}<>]{1,60})[\])}>][.,;:!]?\Z")
_BRACKETS_FIRST = re.compile(r"[({<]([^\[\](){}<>]{1,60})[)}>][\s:|.-]*+")
_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"[^\W\d_]{0,2}\d[\d.,:/x-]*[^\W\d_]{0,2}")
_NUMBER_FIRST = re.compile(r"\d++(?>[.,]\d++)*+[-_.:,/)|#]++(?=[^\W\d_])")
_NUMBER_LAST = re.compile(r"(?<=[^\W\d_]{3})[-_.:/#]?\d{1,9}\Z")
_HEXADECIMAL = frozenset("0123456789abcdef-")
_AROUND = re.compile(r"\A[\W_]++|(?<![\W_])[\W_]++\Z")
_EDGES = "#.,;:!?'\"*-_|/+=~@<>()[]{}"


def subject_key(subject: str | None) -> str:
    """Return the subject folded for comparison; "" only where nothing in it is visible.

    Folds look-alikes, case and white space. Removes marks such as "Re:", "Fwd:", "Automatic reply:" or "***SPAM***",
    bracketed list names, "(fwd)", outer punctuation, and at both ends numbers, dates, "batch A" and "(ref: x)", unless
    that would leave nothing, or for numbers no letter. Folding the result again changes nothing.
    """
    if not subject:
        return ""
    if not (subject.isascii() and len(subject) <= _LONGEST):
        subject = visible(_RESUME.sub("resume (cv)", subject))[: 2 * _LONGEST]
    key = fold(subject)[:_LONGEST].strip()
    while (shorter := _without_start(key)) != key or (shorter := _without_end(key)) != key:  # they may alternate
        key = shorter
    return key if key[:1].isalpha() or _LETTER.search(key) else _number_alone(key)


def _number_alone(key: str) -> str:
    """Return a key without letters, less the brackets around a number."""
    return _AROUND.sub("", key) or key


# -- at the start ------------------------------------------------------------------------------------------------


def _without_start(key: str) -> str:
    if key[:1].isalpha():
        return _without_mark(key) or _without_numbers_first(key)
    if found := _BEFORE.match(key):
        return key[found.end() :].strip() or key
    brackets = _BRACKETS_FIRST.match(key)
    if brackets and _may_vary(brackets[1]):
        return _rest(key[brackets.end() :], key)
    if found := _NUMBER_FIRST.match(key):
        return _rest(key[found.end() :], key)
    return _without_mark(key.lstrip("({<*[")) or _without_numbers_first(key)


def _without_mark(key: str) -> str:
    """Return what stands behind a mark; "" where there is none, or nothing behind it."""
    ends = _MARK_ENDS.search(key, 1, _LONGEST_MARK)
    if not ends:
        return ""
    word = key[: ends.start()].strip(_AROUND_MARK)
    if word not in MARKS:
        again = _MARKED_AGAIN.search(word)
        word = word[: again.start()] if again else ""
    is_mark = word in MARKS and (len(word) > 1 or ends[0] in _SURELY_ENDS)
    return key[ends.end() :].lstrip(_BEHIND_MARK) if is_mark else ""


def _without_numbers_first(key: str) -> str:
    first = key.partition(" ")[0]
    if first.isalpha() and first not in DATES and first not in COUNTED:
        return key
    words = key.split(" ", 5)
    return _rest(" ".join(words[number:]), key) if (number := _numbers_first(words)) else key


def _numbers_first(words: list[str]) -> int:
    """Return how many words at the start are a number, a date or such as "batch A:"; 0 where the first is none."""
    bare = [word.strip(_EDGES) for word in words]
    first, second = bare[0], bare[1] if len(bare) > 1 else ""
    if _is_number(first):
        return _after_numbers(bare, 1)
    if first in DATES:
        return 2 if _is_number(second) else int(_is_separated(words, 0))
    if first in COUNTED and second:
        is_counted = _is_number(second) or (_is_count(second) and _is_separated(words, 1))
        return _after_numbers(bare, 2) if is_counted else 0
    return 0


def _after_numbers(words: list[str], number: int) -> int:
    """Return where a date or "of 40" ends that goes on behind the first words."""
    end = number
    for at in range(number, len(words)):
        if words[at] in DATES or _is_number(words[at]):
            end = at + 1
        elif words[at] not in JOINING:
            break
    return end


def _is_separated(words: list[str], at: int) -> bool:
    """Return True where a word ends with a colon or the like, or stands before a dash."""
    return words[at][-1:] in (":", "|", "-", ",", ";", "/", ")", "]") or (
        at + 1 < len(words) and words[at + 1] in ("-", "|", ":", "/")
    )


# -- at the end --------------------------------------------------------------------------------------------------


def _without_end(key: str) -> str:
    if _ends_with_a_word(key):
        return key
    ending = key[-_ENDING:]
    if not key[-1:].isalnum():
        if (brackets := _BRACKETS.search(ending)) and _may_vary(brackets[1]):
            return _rest(key[: brackets.start() - len(ending)], key)
        if (found := _AFTER.search(ending)) and not _LANGUAGE.search(ending):
            return key[: found.start() - len(ending)].strip() or key
    words = key.rsplit(" ", 5)
    if number := _numbers_last(words):
        return _rest(" ".join(words[:-number]), key)
    found = _NUMBER_LAST.search(ending) if key[-1:].isdecimal() else None
    return _rest(key[: found.start() - len(ending)], key) if found else key


def _ends_with_a_word(key: str) -> bool:
    """Return True where the last word is plain and no "ref:" stands before it: nothing at the end can be removed."""
    space = key.rfind(" ")
    word = key[space + 1 :]
    if not word.isalpha() or len(word) == 1 or word in DATES or word in NUMBERS:
        return False
    return space <= 0 or key[space - 1] not in ":#"


def _numbers_last(words: list[str]) -> int:
    """Return how many words at the end are a number, a date, "batch A" or "ref: x"; 0 where the last is none."""
    *others, last = [word.strip(_EDGES) for word in words]
    if not others:
        return 0
    if last == "" or last in DATES:
        return 2 if last and others[-1] in JOINING else 1
    if _is_number(last):
        number = 1
        while number < len(others) and (others[-number] in JOINING or others[-number] in COUNTED):
            number += 1
        return number
    if len(last) == 1 and others[-1] == "":
        return 2  # behind a dash
    named = others[-1] in COUNTED and (_is_count(last) or words[-2][-1:] in (":", "#"))
    return 2 if named else 0


# -- at both -----------------------------------------------------------------------------------------------------


def _rest(shorter: str, key: str) -> str:
    """Return what is left when a number is removed; the whole key where that has no letter."""
    return shorter.strip() if _LETTER.search(shorter) else key


def _is_number(word: str) -> bool:
    """Return True for numbers, dates, times, and codes that are digits for the most part, or hexadecimal."""
    if not word or word.isalpha():
        return False
    if _NUMBER.fullmatch(word):
        return True
    digits = sum(map(str.isdecimal, word))
    letters = sum(map(str.isalpha, word))
    return digits >= max(letters, 1) or (digits > 1 and len(word) > 5 and _HEXADECIMAL.issuperset(word))


def _is_count(word: str) -> bool:
    return len(word) == 1 or word in NUMBERS or _is_number(word)


def _may_vary(inside: str) -> bool:
    """Return True where what is in brackets is a number, a date, a reference, an address, or an earlier subject."""
    words = [word.strip(_EDGES) for word in inside.split(" ")]
    if words[0] in COUNTED or words[0] in EARLIER or (len(words) == 1 and "@" in inside):
        return True
    return all(word in JOINING or word in DATES or _is_count(word) or not word for word in words)
