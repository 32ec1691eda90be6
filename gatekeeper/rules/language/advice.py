"""What to write in place of a value that is often written otherwise: the text after `'2,000': `, "" where none fits."""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Collection, Iterable
from itertools import islice

_MOST_GUESSES = 200  # names with which a misspelt name is compared
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000\ufeff]")
_GROUPED = re.compile(r"(\d{1,3})((?:[,.' ]\d{3})+)")
_THOUSANDS = re.compile(r"(\d{1,6})\s*[kK]")
_BOUND = re.compile(r"([<>]=?)\s*(\d{1,15})")
_WITH_WORD = re.compile(r"(\d{1,15})\s+[A-Za-z]+")
_GROUPS = {",": "comma", ".": "full stop", "'": "apostrophe", " ": "blank"}
_DATE = re.compile(r"((?:19|2\d)\d\d)-(\d\d)-(\d\d)")
_OTHER_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./]\d{1,2}[./]\d{1,2}|\d{4}-\d{1,2}-\d{1,2}")
_MARKS = str.maketrans("", "", ",.' ")  # between groups of digits
_SHARE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*%\s*")
_SHARE_OF_ONE = re.compile(r"0\.(\d{1,3})")
_SIGNS = {">": "over", ">=": "at_least", "<": "under", "<=": "at_most"}
_MEANT = {  # what other programs call it
    **dict.fromkeys(("quarantine", "held", "moderate", "park", "pause"), "hold"),
    **dict.fromkeys(("block", "deny", "refuse", "bounce", "drop", "discard", "stop"), "reject"),
    **dict.fromkeys(("allow", "accept", "pass", "send", "permit", "deliver", "ok"), "relay"),
    **dict.fromkeys(("delay", "tempfail", "greylist"), "defer"),
    **dict.fromkeys(("notify", "inform"), "warn"),
    **dict.fromkeys(("more_than", "more than", "greater_than", "greater", "above", "gt", "exceeds", ">"), "over"),
    **dict.fromkeys(("less_than", "less than", "lower", "below", "lt", "<"), "under"),
    **dict.fromkeys(("min", "minimum", "from", "gte", ">="), "at_least"),
    **dict.fromkeys(("max", "maximum", "up_to", "lte", "<="), "at_most"),
    **dict.fromkeys(("contains", "has", "any_of"), "includes"),
    **dict.fromkeys(("regex", "regexp", "pattern"), "matches"),
    **dict.fromkeys(("glob", "wildcard"), "like"),
    **dict.fromkeys(("one_of",), "in"),
}


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return the hint " (did you mean NAME?)" for a misspelt name; "" where no known name is similar."""
    near = nearest(text, known)
    return f" (did you mean {near}?)" if near else ""


def nearest(text: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant; "" where none is similar."""
    names = list(known)
    meant = _MEANT.get(text.strip().casefold(), "")
    if meant in names:
        return meant
    folded = {name.casefold(): name for name in islice(sorted(names), _MOST_GUESSES)}
    near = difflib.get_close_matches(text[:80].casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else ""


def of_blanks(text: str) -> str:
    """Advise on a blank that is none to YAML, as word processors and web pages have it."""
    found = _BLANKS.search(text)
    return f"a non-breaking or invisible blank (U+{ord(found[0]):04X}) in it: write a space" if found else ""


def of_number(text: str) -> str:
    """Advise on a number that is written for people."""
    text = text.strip()
    if found := _GROUPED.fullmatch(text):
        sign = found[2][0]
        return f"write {text.translate(_MARKS)}, without the {_GROUPS[sign]}"
    if found := _THOUSANDS.fullmatch(text):
        return f"write {int(found[1])}000"
    if found := _BOUND.fullmatch(text):
        return f"write the number alone, {found[2]}"
    if found := _WITH_WORD.fullmatch(text):
        return f"write the number alone, {found[1]}"
    found = _SHARE_OF_ONE.fullmatch(text)
    return f"write {found[1].ljust(2, '0').lstrip('0') or '0'}% for a share" if found and len(found[1]) < 3 else ""


def of_bound(field: str, text: str) -> str:
    """Advise on a number, or a bound in signs, that stands alone beside a count; "" where it is neither."""
    text = text.strip()
    if found := _BOUND.fullmatch(text):
        return f"write {field}: {{{_SIGNS[found[1]]}: {found[2]}}}"
    number = text.translate(_MARKS) if _GROUPED.fullmatch(text) else text
    return f"write {field}: {{over: {number}}}" if number.isdecimal() and number.isascii() else ""


def of_share(text: str) -> str:
    """Advise on a share that is no part of a whole."""
    found = _SHARE.fullmatch(text)
    if found is None:
        return ""
    return "nobody reaches more than 100% of a list" if float(found[1]) > 100 else ""


def of_day(text: str) -> str:
    """Advise on a day that is none, or in another order."""
    if found := _DATE.fullmatch(text[:10]):
        year, month, day = map(int, found.groups())
        if not 1 <= month <= 12:
            return f"no year has a month {month}"
        last = calendar.monthrange(year, month)[1]
        return "" if 1 <= day <= last else f"no such day: the last one of that month is {year}-{month:02}-{last}"
    return "write year, month and day as in 2026-12-31" if _OTHER_DATE.fullmatch(text.strip()) else ""


def of_domain(text: str) -> str:
    """Advise on a domain with something around it."""
    text = text.strip()
    if text.endswith(".") and len(text) > 1:
        return f"write {text.rstrip('.')}, without the full stop at its end"
    if "@" in text and text.rpartition("@")[2]:
        return f"write the domain alone, {text.rpartition('@')[2]}"
    if text.startswith(".") and len(text) > 1:
        return f'write "*{text}" for all below {text[1:]}'
    return ""


# Below these every customer of a mail service has a name.
SHARED_DOMAINS = frozenset(
    {
        *("onmicrosoft.com", "mail.onmicrosoft.com", "onmicrosoft.us", "onmicrosoft.de", "partner.onmschina.cn"),
        "test-google-a.com",
    }
)


def of_own_domain(text: str) -> str:
    """Advise on a domain that is not one of the organisation's alone."""
    bare = text.strip().lower().rstrip(".").removeprefix("*.")
    if bare in SHARED_DOMAINS:
        return f"everybody's names are there: write yours, such as example.{bare}"
    return of_domain(text)


def of_word(text: str, words: Collection[str]) -> str:
    """Advise on a word that is none of these."""
    near = nearest(text, words)
    return f"did you mean {near}? expected {_one_of(words)}" if near else ""


def _one_of(words: Collection[str]) -> str:
    return " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words)
