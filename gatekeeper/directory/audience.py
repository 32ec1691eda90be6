"""Count whom one transaction reaches, and the people that its To and Cc show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gatekeeper.address import Addresses
from gatekeeper.directory.expanded_lists import Written, authors_of, find_expanded
from gatekeeper.directory.snapshot import Directory, Reach
from gatekeeper.model import Audience

_NOTHING = Written()


def count_audience(
    recipients: Iterable[str], visible: Iterable[str], directory: Directory, written: Written = _NOTHING
) -> Audience:
    """Return the audience of one transaction: users, externals and lists (T2: externals count apart, in no agency).

    Args:
        recipients: the envelope's addresses, as written, in any order; repeats are allowed.
        visible: the addresses of To and Cc, likewise. Lists count as their members in both.
        directory: the snapshot in force.
        written: what the message says of lists that were expanded before it came.
    """
    envelope, seen = recipients if isinstance(recipients, Addresses) else Addresses(recipients), tuple(visible)
    reached = directory.reach(envelope)
    shown = directory.reach(seen)
    audience = Audience(
        users=reached.users,
        externals=reached.externals,
        lists=reached.lists,
        unresolved=reached.unresolved,
        recipients=len(envelope),
        visible=shown.people,
        beside=reached.people - (directory.reach(reached.lists).people if reached.lists else 0),
        certain=not directory.expired,
    )
    if not directory.has_lists:
        return audience
    return _with_expanded(audience, reached, seen if shown.lists else (), written, directory)


def _with_expanded(
    audience: Audience, reached: Reach, visible: tuple[str, ...], written: Written, directory: Directory
) -> Audience:
    """Add the lists whose members are in the envelope in their place, as if they were in it themselves."""
    expanded = find_expanded(reached, visible, written, directory)
    people = reached.users.keys() | reached.externals if reached.people <= max(1, len(written.authors)) else None
    alone = bool(people) and people is not None and people <= authors_of(written, directory)
    if not expanded:
        return replace(audience, alone=alone) if alone else audience
    lists = expanded | reached.lists
    whole = directory.together(lists)
    return replace(
        audience,
        lists=directory.with_nested(lists),
        beside=len((reached.users.keys() | reached.externals) - whole.members),
        alone=alone,
        together=" ".join(sorted(lists)),
        watched={" ".join(sorted(lists)): whole},
    )
