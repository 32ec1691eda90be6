"""Recognise lists that were expanded before the message came, so that their members are in the envelope in their place.

ORCPT says which address a recipient was written as (RFC 3461 4.2): where that is a list and the recipient is in it, the
message went to the list. To and Cc are what the author wrote, and more is asked of these: everybody in the envelope
must be in one of the lists, or be the author. Neither changes whom the message counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatekeeper.directory.snapshot import Directory, Reach
from gatekeeper.lib.immutable import immutable


@immutable
class Written:
    """What a message says of lists in its envelope's place."""

    originals: tuple[tuple[str, str], ...] = ()  # recipients with the address that ORCPT gives for each
    authors: tuple[str, ...] = ()  # addresses of From and Sender


def find_expanded(reached: Reach, visible: Iterable[str], written: Written, directory: Directory) -> frozenset[str]:
    """Return the lists, nested ones left out, whose members are in the envelope in their place.

    Args: `reached` are those whom the envelope reaches; `visible` are the addresses of To and Cc.
    """
    found = frozenset(_by_original(written.originals, directory)) - reached.lists
    named = frozenset(filter(None, map(directory.list_of, visible))) - reached.lists - found
    if not named:
        return found
    people = reached.users.keys() | reached.externals
    others = people - directory.together(named | found | reached.lists).members
    if not others <= authors_of(written, directory):
        return found
    return found | {name for name in named if not people.isdisjoint(directory.together(frozenset({name})).members)}


def _by_original(originals: Iterable[tuple[str, str]], directory: Directory) -> Iterator[str]:
    found: set[str] = set()
    for recipient, original in originals:
        name = directory.list_of(original)
        if name and name not in found:
            members = directory.together(frozenset({name})).members
            if directory.user(recipient) in members:
                found.add(name)
                yield name


def authors_of(written: Written, directory: Directory) -> frozenset[str]:
    """Return the people of From and Sender."""
    return frozenset(filter(None, map(directory.user, written.authors)))
