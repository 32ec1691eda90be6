"""Say how a message differs from an approved one of its kind; a `template` permit covers what does not differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from gatekeeper.model import WORD_OCTETS, Likeness, TextLikeness

_Some = TypeVar("_Some")
_SHARE = 10  # of so many words one may differ
_NAMED = 3


def unlike(approved: Likeness, own: Likeness | None) -> str:
    """Return the first difference between a message and the approved one; "" where there is none that counts."""
    return next(_differences(approved, own), "")


def _differences(approved: Likeness, own: Likeness | None) -> Iterator[str]:
    if not approved.comparable:
        yield "it was given before whole texts were compared, and has to be given again"
        return
    if own is None or not own.comparable or not (own.whole and approved.whole):
        yield "the content cannot be compared with what was approved: it is too long, or was not read"
        return
    if approved.links != own.links:
        yield f"the content has other links than what was approved ({_changed(approved.links, own.links)})"
    if approved.attachments != own.attachments:
        names = _changed(*(frozenset(map(_file, each.attachments)) for each in (approved, own)))
        yield f"the content has other attachments than what was approved ({names or 'files of the same name'})"
    if new := own.tokens - approved.tokens:
        yield f"the content has a number or an address that was not approved ({_some(new)})"
    if approved.styles != own.styles:
        yield "the content has other styles or scripts than what was approved"
    if new := own.defects - approved.defects:
        yield f"the content can be read in more ways than what was approved ({_some(new)})"
    yield from _texts(approved.texts, own.texts)


def _changed(approved: frozenset[str], own: frozenset[str]) -> str:
    """Name what is new, else what is missing."""
    return _some(own - approved) or _some(approved - own)


def _some(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED])


def _file(attachment: str) -> str:
    """Return the name of a file, the type of one without a name."""
    name, kind, _ = attachment.rsplit(" ", 2)
    return name or kind


def _texts(approved: Sequence[TextLikeness], own: Sequence[TextLikeness]) -> Iterator[str]:
    if [text.type for text in approved] != [text.type for text in own]:
        parts = ", ".join(text.type for text in own) or "none"
        yield f"the content has other parts than what was approved ({parts})"
        return
    for one, other in zip(approved, own, strict=True):
        yield from _text(one, other)


def _text(approved: TextLikeness, own: TextLikeness) -> Iterator[str]:
    """Yield a difference where more than a tenth of the words differ, or so many stand in another order."""
    if approved.words == own.words:
        return
    before, now = _split(approved.words), _split(own.words)
    most = max(len(before), len(now)) // _SHARE
    changed = _difference(Counter(before), Counter(now))
    moved = _difference(Counter(pairwise(before)), Counter(pairwise(now)))  # a changed word changes two pairs
    if changed > most or moved > 2 * most:
        new = _new_words(before, now, own.spelled)
        shown = f": {new}" if new else ""
        what = f"{changed} words" if changed > most else "the order of words"
        yield (
            f"the content is not like what was approved: of {len(now)} words of {own.type} {what} changed, "
            f"{most} may{shown}"
        )


def _split(words: bytes) -> list[bytes]:
    return [words[at : at + WORD_OCTETS] for at in range(0, len(words), WORD_OCTETS)]


def _difference(before: Counter[_Some], now: Counter[_Some]) -> int:
    return max((before - now).total(), (now - before).total())


def _new_words(before: Sequence[bytes], now: Sequence[bytes], spelled: Sequence[str]) -> str:
    """Name some of the words that were not there before."""
    known, new = set(before), list[str]()
    for word, text in zip(now, spelled, strict=False):
        if word not in known and text not in new:
            new.append(text)
        if len(new) > _NAMED:
            break
    return ", ".join(new[:_NAMED]) + (" ..." if len(new) > _NAMED else "")
