"""Read what a message says, for the keys by which it is found to be one with others: fingerprints, or its few words.

Every shown part counts, since a program shows either the plain text or the HTML. HTML that only repeats the plain text
adds nothing. What is quoted, stands below a signature mark or in a nested message counts where nothing else is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from gatekeeper.message.body_text import own_text, quoted_texts, rests_of_text, without_filler
from gatekeeper.message.fingerprint import OWN, content_words_of_own, fingerprints_of_own, read_own
from gatekeeper.message.mime_tree import Part, ancestors
from gatekeeper.message.repeated_reply import repeats_above_quote
from gatekeeper.message.repeated_text import repeats
from gatekeeper.message.shown_text import all_text, shown_text
from gatekeeper.message.telling_words import LEAST_TELLING, telling_words
from gatekeeper.message.text_parts import TextPart
from gatekeeper.message.words import length_of_words, plainly_spaced, undressed_words

_SAME = 3  # fingerprints of four that two texts share which say the same; so any two texts like a third share two
_MOST_TEXTS = 4  # whose fingerprints are taken
_LEAST_BELOW = 16  # words below a signature mark: most signatures have fewer
_LEAST_QUOTED = 100  # characters that are not the sender's own; else it may be a signature
_LONGEST_KNOWN = 8_192  # characters of a text that is kept, for copies of it
_LONGEST_SHOWN = 3 * OWN  # characters of HTML in which a sender's own words are looked for


class Said(NamedTuple):
    """What one text says."""

    own: str = ""  # the sender's own words
    whole: str = ""  # all that is shown
    fingerprints: tuple[str, ...] = ()
    words: tuple[bytes, ...] = ()  # those that tell it from others, where it has too few for a fingerprint

    @property
    def is_nothing(self) -> bool:
        """True where only courtesies are left, or a word or two, so that what it quotes is what it says."""
        return self.is_little and (not self.words or len(self.own.split()) < LEAST_TELLING)

    @property
    def is_little(self) -> bool:
        return not self.fingerprints and len(self.words) < LEAST_TELLING


class Texts(NamedTuple):
    """What the texts of a message say."""

    fingerprints: tuple[str, ...] = ()
    few: Said | None = None  # the text that has too few words for a fingerprint and may need another key


_NOTHING = Said()


def read_texts(texts: Sequence[TextPart], sample: int) -> Texts:
    """Read the first `sample` characters of each text of a message."""
    if len(texts) == 1 and texts[0].part.parent is None and texts[0].part.type == "text/plain":  # most mail
        return _alone(_said(_sample(texts[0].text, sample)))
    outer = [text for text in texts if not _is_nested(text.part)]
    found = _read(outer, sample)
    if found.few and found.few.is_nothing and len(outer) < len(texts):
        nested = _read([text for text in texts if text not in outer], sample)
        return nested if nested.fingerprints or (nested.few and not nested.few.is_little) else found
    return found


def _is_nested(part: Part) -> bool:
    around = part.parent
    if around is None or (around.parent is None and not around.is_message):
        return False
    return any(holder.is_message for holder in ancestors(part))


def _read(texts: Sequence[TextPart], sample: int) -> Texts:
    htmls = [text for text in texts if text.is_html]
    plains = [_sample(text.text, sample) for text in texts if not text.is_html and text.part.type != "text/calendar"]
    said = [_said(text) for text in ("\n".join(plains)[:sample], *plains[1:])] if plains else []
    if len(said) == 1 and (not htmls or (len(htmls) == 1 and _repeats(said[0], htmls[0]))):
        return _alone(said[0])
    if htmls:
        return _with_html(said, htmls)
    return _together(list(map(_or_rest, said)) if all(one.is_nothing for one in said) else said)


def _repeats(said: Said, html: TextPart) -> bool:
    """Return True where it is plain that HTML says what the plain text says, and nothing else."""
    may_quote = said.fingerprints and len(said.own) < OWN and len(said.whole) > len(said.own) + _LEAST_QUOTED
    if may_quote and repeats_above_quote(said.own, said.whole, html, OWN):
        return True
    return repeats(said.whole, html, 2 * OWN)


def _alone(said: Said) -> Texts:
    if said.fingerprints:  # most texts
        return Texts(said.fingerprints)
    if said.is_nothing:
        said = _or_rest(said)
    return Texts(said.fingerprints, None if said.fingerprints else said)


def _with_html(said: list[Said], htmls: Sequence[TextPart]) -> Texts:
    """Return what plain texts and HTML say that says something else, or is alone."""
    shown = _said("\n".join(shown_text(html.text, _LONGEST_SHOWN) for html in htmls))
    if shown.is_nothing and (all(one.is_nothing for one in said) or _is_alternative(htmls)):
        shown = _or_rest(shown)
        if shown.is_nothing:
            whole = _or_rest(_said("\n".join(all_text(html.text) for html in htmls)))
            shown = shown if whole.is_little else whole
        said = list(map(_or_rest, said)) if all(one.is_nothing for one in (shown, *said)) else said
    found = _together([shown, *said])  # the first fingerprint counts across the organisation: of what most people see
    few = shown if not shown.fingerprints and _is_alternative(htmls) else None  # shown in place of the plain text
    return found if found.few else Texts(found.fingerprints, few)


def _together(said: Sequence[Said]) -> Texts:
    prints = _different([one.fingerprints for one in said if one.fingerprints])
    return Texts(prints, None if prints else max(said, key=lambda one: len(one.words), default=_NOTHING))


def _sample(text: str, sample: int) -> str:
    """Return the beginning of a text without invisible characters, even where it has nothing else for long."""
    beginning = plainly_spaced(text[:sample])
    if len(text) <= sample and (text.isascii() or 2 * len(beginning) > len(text)):  # most texts
        return beginning
    if len(text) > sample and 4 * length_of_words(beginning) < sample:
        return without_filler(plainly_spaced(text))[:sample]
    return beginning


def _said(whole: str) -> Said:
    """Read a text, once where many get the same one."""
    return _known_said(whole) if len(whole) <= _LONGEST_KNOWN else _say(whole)


def _say(whole: str) -> Said:
    own = own_text(whole, OWN)
    if len(own) == OWN and 4 * length_of_words(own) < OWN:
        whole = without_filler(whole)
        own = own_text(whole, OWN)
    prints, dressed = read_own(own)
    return Said(own, whole, prints, () if prints else telling_words(own, dressed))


_known_said = lru_cache(maxsize=256)(_say)


def _or_rest(said: Said) -> Said:
    """Return what the text quotes, else what it has below a signature mark; itself where that is little."""
    for quoted in quoted_texts(said.whole, OWN):
        found = Said(quoted, said.whole, fingerprints_of_own(quoted))
        found = found if found.fingerprints else found._replace(words=telling_words(quoted))
        if not found.is_little:
            return found
    for rest in rests_of_text(said.whole, OWN):
        if max(len(content_words_of_own(rest)), len(undressed_words(rest))) >= _LEAST_BELOW:
            return Said(rest, said.whole, fingerprints_of_own(rest))
    return said


def _different(every: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the fingerprints of texts, but for those of texts that say the same as one before."""
    found: dict[str, None] = {}
    for prints in every[:_MOST_TEXTS]:
        if sum(one in found for one in prints) < _SAME:
            found.update(dict.fromkeys(prints))
    return tuple(found)


def _is_alternative(htmls: Iterable[TextPart]) -> bool:
    """Return True where the HTML is shown in place of the plain text."""
    return any(holder.type == "multipart/alternative" for html in htmls for holder in ancestors(html.part))
