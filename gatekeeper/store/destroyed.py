"""What certificates explain: matters of the ledger of which a disposal has left a line, and their acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.store.acts import MATTERS, name_of
from gatekeeper.store.db.schema import disposal_items, mailings
from gatekeeper.store.disposals import ACTS, CONTENT, DESTROYED


@immutable
class Destroyed:
    """The names of matters that were destroyed by the schedule, such as M-17."""

    names: frozenset[str]

    def explains(self, act: Mapping[str, Any]) -> bool:
        """Return True for an act that is about nothing but such matters: its row may be gone."""
        about = [(MATTERS[column].letter, act[column]) for column in MATTERS if act.get(column)]
        return bool(about) and all(
            isinstance(values, dict) and f"{letter}-{values.get('number')}" in self.names for letter, values in about
        )


def destroyed_matters(connection: Connection) -> Destroyed:
    """Return what was destroyed, with the numbers of mailings that had become part of one that was."""
    items = disposal_items.c
    query = select(items.kind, items.number).where(items.state == DESTROYED, items.kind.not_in((CONTENT, ACTS)))
    names = {name_of(kind, number) for kind, number in connection.execute(query)}
    merged = select(mailings.c.id, mailings.c.number, mailings.c.merged_into).where(mailings.c.merged_into.is_not(None))
    into = {id: (number, target) for id, number, target in connection.execute(merged)} if names else {}
    ends = {id: _end(into, id) for id in into}
    gone = select(mailings.c.id).where(mailings.c.id.in_(set(ends.values())), mailings.c.disposed.is_not(None))
    there = set(connection.execute(gone).scalars()) if ends else set()
    names |= {name_of("mailing", into[id][0]) for id, end in ends.items() if end in there and into[id][0] is not None}
    return Destroyed(frozenset(names))


def _end(into: Mapping[int, tuple[int | None, int]], id: int) -> int:
    seen = set()
    while id in into and id not in seen:
        seen.add(id)
        id = into[id][1]
    return id
