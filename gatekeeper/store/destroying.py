"""Destroy what a signed disposal lists, a slice a transaction: after a kill it goes on with what is still listed.

What something keeps since the list was made, or what is open again, stays, and the list says why. What is removed is
removed in removal.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, select, update

from gatekeeper.lifecycle import DisposalState
from gatekeeper.store import removal
from gatekeeper.store.acts import COLUMNS, matter_of
from gatekeeper.store.acts_due import destroy_acts
from gatekeeper.store.db.schema import batches, disposal_items, mailings
from gatekeeper.store.disposals import (
    ACTS,
    CHANGED,
    CONTENT,
    DESTROYED,
    ELSEWHERE,
    GONE_ALREADY,
    KEPT,
    LISTED,
    OPEN_AGAIN,
    DisposalView,
    Found,
    find_disposal,
    found_of,
)
from gatekeeper.store.due import Age, is_over
from gatekeeper.store.events import Event, record
from gatekeeper.store.matters_due import MAILING, matters_due
from gatekeeper.store.matters_kept import kept_matters
from gatekeeper.store.preserved import any_kept, begin_removal, kept

CONTENT_DESTROYED, MATTER_DESTROYED = "content destroyed", "record destroyed"  # acts on a timeline
_AT_ANY_TIME = Age(float("inf"), closed=True)


def destroy_slice(connection: Connection, number: int, now: float, limit: int = 50) -> int:
    """Destroy the next items of a signed disposal; return how many were looked at."""
    disposal = find_disposal(connection, number, lock=True)
    if disposal is None or disposal.state is not DisposalState.SIGNED:
        return 0
    query = select(disposal_items).where(_mine(disposal), disposal_items.c.state == LISTED)
    rows = connection.execute(query.order_by(disposal_items.c.position).limit(limit)).mappings()
    listed = [found_of(row) for row in rows]
    begin_removal(connection)
    for kind, items in groupby(listed, key=lambda item: item.kind):
        if kind == CONTENT:
            _destroy_contents(connection, disposal, list(items), now)
        elif kind == ACTS:
            _destroy_acts(connection, disposal, list(items), now)
        else:
            _destroy_matters(connection, disposal, {item.key: item for item in items}, now)
    return len(listed)


def _mine(disposal: DisposalView) -> ColumnElement[bool]:
    return disposal_items.c.disposal_id == disposal.key


def _items(disposal: DisposalView, kind: str, key: int) -> Update:
    same = (disposal_items.c.kind == kind, disposal_items.c.mailing_id == key)
    return update(disposal_items).where(_mine(disposal), *same)


# -- messages --------------------------------------------------------------------------------------------------------


def _destroy_contents(connection: Connection, disposal: DisposalView, items: Collection[Found], now: float) -> None:
    listed: dict[int, set[bytes]] = {}  # key of a mailing -> digests
    for item in items:
        listed.setdefault(item.key, set()).add(item.digest)
    over = connection.execute(select(mailings.c.id).where(mailings.c.id.in_(listed), is_over())).scalars()
    held = _why(kept(connection, listed), listed, set(over))
    for key, why in held.items():
        _note_became(connection, disposal, {key: listed.pop(key)}, KEPT, why)
    if listed:
        _destroy_free(connection, disposal, listed, now)


def _why(held: Mapping[int, tuple[str, ...]], keys: Collection[int], over: set[int]) -> dict[int, str]:
    """Return which of the keys stay, and why."""
    names = {key: ", ".join(each) for key, each in held.items()}
    return names | {key: OPEN_AGAIN for key in keys if key not in held and key not in over}


def _destroy_free(connection: Connection, disposal: DisposalView, listed: Mapping[int, set[bytes]], now: float) -> None:
    """Destroy listed messages of mailings that nothing keeps; those that came since the list was made stay.

    Of two lists that were made at once, the second finds what the first has destroyed gone already.
    """
    own = select(batches.c.mailing_id, batches.c.body).where(batches.c.mailing_id.in_(listed), batches.c.body != b"")
    there: dict[int, set[bytes]] = {key: set() for key in listed}
    for key, body in connection.execute(own):
        there[key].add(bytes(body))
    gone = {key: digests - there[key] for key, digests in listed.items()}
    _note_became(connection, disposal, gone, KEPT, GONE_ALREADY)
    going = {key: digests & there[key] for key, digests in listed.items() if digests & there[key]}
    if not going:
        return
    begun = select(mailings.c.id).where(mailings.c.id.in_(going), mailings.c.destroyed == disposal.number)
    began = set(connection.execute(begun).scalars())  # a large mailing is destroyed in several slices
    left = removal.destroy_contents(connection, going, disposal.number, now)
    _note_became(connection, disposal, {key: digests & left for key, digests in going.items()}, ELSEWHERE)
    _note_became(connection, disposal, {key: digests - left for key, digests in going.items()}, DESTROYED)
    for key in going.keys() - began:
        record(connection, Event(now, CONTENT_DESTROYED, mailing_id=key, text=disposal.id))


def _note_became(
    connection: Connection,
    disposal: DisposalView,
    listed: Mapping[int, Collection[bytes]],
    state: str,
    why: str | None = None,
) -> None:
    """Note what became of listed messages of mailings."""
    for digests, keys in _alike(listed).items():
        own = (disposal_items.c.kind == CONTENT, disposal_items.c.mailing_id.in_(keys))
        chosen = update(disposal_items).where(_mine(disposal), *own, disposal_items.c.state == LISTED)
        connection.execute(chosen.where(disposal_items.c.body.in_(digests)).values(state=state, why=why))


def _alike(listed: Mapping[int, Collection[bytes]]) -> dict[frozenset[bytes], list[int]]:
    """Return mailings by the messages that are listed of them; as one, where none shares a message with another."""
    some = {key: frozenset(digests) for key, digests in listed.items() if digests}
    together = frozenset[bytes]().union(*some.values())
    if len(together) == sum(map(len, some.values())):
        return {together: list(some)} if some else {}
    return {digests: [key for key, own in some.items() if own == digests] for digests in some.values()}


# -- matters of the ledger, and certificates -------------------------------------------------------------------------


def _destroy_matters(connection: Connection, disposal: DisposalView, items: Mapping[int, Found], now: float) -> None:
    """Destroy matters of one kind."""
    kind = next(iter(items.values())).kind
    table = matter_of(kind).table
    locked = select(table.c.id).where(table.c.id.in_(items), table.c.disposed.is_(None)).order_by(table.c.id)
    there = set(connection.execute(locked.with_for_update()).scalars())
    over = connection.execute(matters_due(kind, _AT_ANY_TIME).where(table.c.id.in_(items))).scalars()
    held = _why(kept_matters(connection, kind, items), items, set(over))
    held |= dict.fromkeys(items.keys() - there, GONE_ALREADY)
    going = {key: item.name for key, item in items.items() if key not in held}
    removal.forget_shown(connection, *(("mailing", going) if kind == MAILING else ("id", list(going.values()))))
    for key in items:
        mine = _items(disposal, kind, key)
        if key in held:
            connection.execute(mine.values(state=KEPT, why=held[key]))
            continue
        removal.destroy_matter(connection, kind, key, disposal.number, now)
        connection.execute(mine.values(state=DESTROYED))
        about: dict[str, Any] = {COLUMNS[kind]: key}
        record(connection, Event(now, MATTER_DESTROYED, text=disposal.id, **about))


# -- acts ------------------------------------------------------------------------------------------------------------


def _destroy_acts(connection: Connection, disposal: DisposalView, items: Collection[Found], now: float) -> None:
    preserves = any_kept(connection)
    for item in items:
        gone = "" if preserves else destroy_acts(connection, item, disposal.id, now)
        why = gone or ("it is preserved" if preserves else CHANGED)
        connection.execute(_items(disposal, ACTS, item.key).values(state=DESTROYED if gone else KEPT, why=why))
