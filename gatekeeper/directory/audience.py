"""Count whom one transaction reaches, and the people that its To and Cc show."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.address import Addresses
from gatekeeper.directory.snapshot import Directory
from gatekeeper.model import Audience


def count_audience(recipients: Iterable[str], visible: Iterable[str], directory: Directory) -> Audience:
    """Return the audience of one transaction: users, externals and lists (T2: externals count apart, in no agency).

    Args:
        recipients: the envelope's addresses, as written, in any order; repeats are allowed.
        visible: the addresses of To and Cc, likewise. Lists count as their members in both.
        directory: the snapshot in force.
    """
    envelope = recipients if isinstance(recipients, Addresses) else Addresses(recipients)
    reached = directory.reach(envelope)
    return Audience(
        users=reached.users,
        externals=reached.externals,
        lists=reached.lists,
        unresolved=reached.unresolved,
        recipients=len(envelope),
        visible=directory.reach(visible).people,
        beside=reached.people - (directory.reach(reached.lists).people if reached.lists else 0),
        certain=not directory.expired,
    )
