"""The notes in the text of a reason: how a mailing differs from permits that were meant for it."""

from __future__ import annotations

import re

from gatekeeper.lib.immutable import immutable

_NOTE = re.compile(r"(?:^|; )not covered by (?=P-\d+: )")


@immutable
class PermitNote:
    """How a mailing differs from what a permit allows."""

    permit: str
    differences: tuple[str, ...]


def split_notes(text: str) -> tuple[str, tuple[PermitNote, ...]]:
    """Return the text of a reason without its notes, and the notes."""
    bare, found, notes = text.partition(" (not covered by P-")
    if not (found and text.endswith(")")):
        return text, ()
    each = (one.partition(": ") for one in _NOTE.split(f"not covered by P-{notes[:-1]}")[1:])
    return bare, tuple(PermitNote(permit, tuple(how.split("; "))) for permit, _, how in each)
