"""The words of the pages, through gettext: in the language of the browser where there is a catalogue, else English.

A catalogue is `locale/LANGUAGE/LC_MESSAGES/console.mo` beside this file. What people and rules have written, and what
the ledger answers, is shown as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from gettext import NullTranslations, translation
from pathlib import Path

FOLDER = Path(__file__).with_name("locale")
_ENGLISH = NullTranslations()
_current: ContextVar[NullTranslations] = ContextVar("words", default=_ENGLISH)


def speak(accepted: str) -> None:
    """Let what follows in this context be said in a language. Args: `accepted` as Accept-Language (RFC 9110 12.5.4)."""
    _current.set(_catalogue(tuple(_wanted(accepted))))


def language() -> str:
    """Return the tag of the language in use, for `<html lang>`."""
    return _current.get().info().get("language", "") or "en"


def _(text: str) -> str:
    """Return a text in the language in use."""
    return _current.get().gettext(text)


def plural(one: str, many: str, number: int) -> str:
    """Return a number with its noun in the language in use. Args: `one` and `many` hold %(n)s."""
    return _current.get().ngettext(one, many, number) % {"n": f"{number:,}"}


def ngettext(one: str, many: str, number: int) -> str:
    """Return the form for a number, as `{% trans %}` with `pluralize` asks for it."""
    return _current.get().ngettext(one, many, number)


def _wanted(accepted: str) -> list[str]:
    """Return the tags of languages, the most wanted first; of no more than ten."""
    found = []
    for index, each in enumerate(accepted.split(",")[:10]):
        tag, _, quality = each.strip().partition(";q=")
        try:
            found.append((-float(quality or 1), index, tag.replace("-", "_")))
        except ValueError:
            continue
    return [tag for _, _, tag in sorted(found) if tag.replace("_", "").isalpha()]


@lru_cache(64)
def _catalogue(wanted: Sequence[str]) -> NullTranslations:
    for tag in wanted:
        if tag.lower().startswith("en"):
            return _ENGLISH
        found = translation("console", FOLDER, [tag], fallback=True)
        if type(found) is not NullTranslations:
            return found
    return _ENGLISH
