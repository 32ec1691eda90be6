"""Find the mailing of a transaction by its keys, open one where there is none, and merge mailings that turn out to be
one.

A weak key never merges two mailings already decided, and a short one merges none. Merging keeps the stricter state and
the union of the people.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, literal, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import DECIDED, BatchState, MailingState, strictness
from gatekeeper.store import cases, matter_people, removal
from gatekeeper.store.across import is_of_recipient, is_passed_on
from gatekeeper.store.active_mailing import ActiveMailing, new_row
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import (
    batches,
    events,
    jobs,
    mailing_keys,
    mailings,
    permit_uses,
    permits,
    shared_keys,
)
from gatekeeper.store.db.statements import Row, upsert
from gatekeeper.store.events import Event, record
from gatekeeper.store.growth import Growth, digests_of, note_growth
from gatekeeper.store.list_reach import merge_tallies
from gatekeeper.store.mailing_keys import COMMON, KINDS, SHORT, STRONG
from gatekeeper.store.people import copy_people, count_reached, forget_people, recount
from gatekeeper.store.refusals import both
from gatekeeper.store.rows import mailing_name
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork

Lead = tuple[ActiveMailing, str]  # and the kind of the key that leads to it


@immutable
class Match:
    """The mailing of an arrival."""

    mailing: ActiveMailing
    joined_by: str | None  # the kind of key that led to it; None where the arrival opens it
    free: dict[Hash, str]  # keys of the arrival that led to no mailing, and their kinds


def match_mailing(unit: UnitOfWork, pending: PendingDecision) -> Match:
    """Return the mailing that an arrival's keys lead to, or a new one; mailings that turn out to be one are merged.

    Raises DBAPIError.
    """
    led = unit.led_to(pending)
    found = {key: lead for key, lead in led.items() if not _is_answer(unit, pending, lead)}
    common = unit.common_of(pending)
    is_free = common is not None and not any(mailing.state in DECIDED for mailing, _ in found.values())
    if common is not None and is_free and not is_passed_on(unit, pending, common):
        return Match(common, COMMON, {})
    free = {key: kind for key, kind in pending.hashes.keys if key not in led}
    if not found:
        return Match(unit.open_mailing(pending), None, free)
    best: dict[int, Lead] = {}  # each mailing, with the most telling key that leads to it
    for mailing, kind in found.values():
        known = best.get(mailing.id)
        if known is None or KINDS.index(kind) < KINDS.index(known[1]):
            best[mailing.id] = mailing, kind
    chosen, *others = sorted(best.values(), key=_preference)
    mailing, kind = chosen
    if merged := [other for other, _ in filter(partial(_is_one, chosen), others)]:
        unit.begin_merge()
        for other in reversed(merged):
            _merge(unit.connection, mailing.id, other.row, pending.now)
        mailing = ActiveMailing.of(dict(_read(unit.connection, mailing.id)))
    return Match(mailing, kind, free)


def _is_answer(unit: UnitOfWork, pending: PendingDecision, lead: Lead) -> bool:
    """Return True where a text that joins across an agency leads somebody to a mailing which they got themselves."""
    mailing, kind = lead
    is_anothers = kind == "text" and pending.arrival.by_agency and mailing.row["source"] not in pending.hashes.places
    return is_anothers and is_of_recipient(unit, pending, mailing)


def _preference(lead: Lead) -> tuple[int, bool, int]:
    """Return the order of preference: the stricter state first, so that nothing that joins a held mailing passes;
    then one that more than a short key leads to; then the older.
    """
    mailing, kind = lead
    return strictness(mailing.state), kind == SHORT, mailing.id


def _is_one(chosen: Lead, other: Lead) -> bool:
    """Return True where two mailings of one arrival may be merged.

    Not on a short key; not on a weak key alone, where both are decided.
    """
    (mailing, kind), (its, its_kind) = chosen, other
    if SHORT in (kind, its_kind):
        return False
    return (kind in STRONG and its_kind in STRONG) or not (mailing.state in DECIDED and its.state in DECIDED)


def _read(connection: Connection, mailing_id: int) -> RowMapping:
    return connection.execute(select(mailings).where(mailings.c.id == mailing_id)).mappings().one()


# -- merging -----------------------------------------------------------------------------------------------------


def _merge(connection: Connection, target: int, other: Row, now: float) -> None:
    """Make the other mailing part of the target, whose state is the stricter."""
    before = _read(connection, target)
    came, had = digests_of(connection, other["id"]), digests_of(connection, target)
    copy_people(connection, other["id"], target)
    forget_people(connection, other["id"])
    _move_texts(connection, other["id"], target)
    matter_people.move(connection, other["id"], target)
    if other["number"] is not None:
        cases.move_items(connection, other["id"], target)
    _place_behind(connection, other["id"], before["kept"] or 0)
    for table in (mailing_keys, batches, permits, jobs, events):
        connection.execute(update(table).where(table.c.mailing_id == other["id"]).values(mailing_id=target))
    _merge_uses(connection, other["id"], target)
    changes = recount(connection, target) | _union(before, other)
    if before["state"] == MailingState.HELD:
        hold_gathered(connection, target)
        changes["reached_before"] = count_reached(connection, target)
    changes |= _take_number(connection, before, other, target)
    connection.execute(update(mailings).where(mailings.c.id == target).values(**changes))
    record(
        connection,
        Event(now, "merged", mailing_id=target, text=mailing_name(other["number"]) or "a mailing without a number"),
    )
    if before["state"] == MailingState.HELD and came:
        note_growth(connection, before, changes, Growth(len(came), len({*came} - {*had})), now)


def _move_texts(connection: Connection, other: int, target: int) -> None:
    texts = select(shared_keys.c.key, literal(target)).where(shared_keys.c.mailing_id == other)
    moved = upsert(connection, shared_keys).from_select(["key", "mailing_id"], texts)
    connection.execute(moved.on_conflict_do_nothing())
    removal.remove_moved(connection, shared_keys, other)


def _place_behind(connection: Connection, other: int, kept: int) -> None:
    """Give the batches of a merged mailing places behind those of the target.

    People who have looked at the target have not seen these batches. Batches without a place, stored by an earlier
    version, come first.
    """
    moved = func.coalesce(batches.c.place, 0) + kept + 1
    connection.execute(update(batches).where(batches.c.mailing_id == other).values(place=moved))


def _merge_uses(connection: Connection, other: int, target: int) -> None:
    """Count the permits that either mailing has used as used by the merged one."""
    table = permit_uses
    used = select(table.c.permit_id, literal(target), table.c.claimed_at, table.c.relayed)
    statement = upsert(connection, table).from_select(
        ["permit_id", "mailing_id", "claimed_at", "relayed"], used.where(table.c.mailing_id == other)
    )
    both = {"relayed": table.c.relayed + statement.excluded.relayed}
    connection.execute(statement.on_conflict_do_update(index_elements=["permit_id", "mailing_id"], set_=both))
    removal.remove_moved(connection, table, other)


def _union(mailing: RowMapping, other: Row) -> dict[str, Any]:
    kinds = {kind: mailing["joined"].get(kind, 0) + number for kind, number in other["joined"].items()}
    held = {reason["rule"]: reason for reason in (*other["reasons"], *mailing["reasons"])}
    return {
        "started_at": min(mailing["started_at"], other["started_at"]),
        "relayed": mailing["relayed"] + other["relayed"],
        "lists": sorted({*mailing["lists"], *other["lists"]}),
        "reasons": list(held.values()),
        "tallies": merge_tallies((mailing["tallies"], other["tallies"])),
        "joined": {**mailing["joined"], **kinds},
        "version": mailing["version"] + 1,
        "kept": (mailing["kept"] or 0) + 1 + (other["kept"] or 0),
        "mass": mailing["mass"] or other["mass"],
        "refused": both(mailing["refused"], other["refused"]),
        "look_again": min(filter(None, (mailing["look_again"], other["look_again"])), default=None),
    }


def _take_number(connection: Connection, mailing: RowMapping, other: Row, target: int) -> dict[str, Any]:
    """Let the other mailing's number lead to the target from now on; it becomes the target's own where that has
    none.
    """
    if mailing["number"] is not None and other["number"] is not None:
        removal.point_to(connection, other["id"], target)
        return {} if mailing["sender"] else {name: other[name] for name in ("sender", "subject", "agency")}
    removal.absorb(connection, other["id"], target)
    return {} if other["number"] is None else {name: other[name] for name in ("number", "sender", "subject", "agency")}


def hold_gathered(connection: Connection, mailing_id: int) -> None:
    """Hold the gathered batches of a mailing."""
    gathered = update(batches).where(batches.c.mailing_id == mailing_id, batches.c.state == BatchState.GATHERED)
    connection.execute(gathered.values(state=BatchState.HELD.value))


# -- closing -----------------------------------------------------------------------------------------------------


def open_successor(connection: Connection, mailing_id: int, refusal: Row | None = None) -> int | None:
    """Open the successor of a closed mailing: it takes over the keys, and knows who was reached. Return its id.

    Returns None where nobody was reached and nothing refused: the keys are removed, and later mail starts afresh.

    Args: `refusal` by which the mailing ends.
    """
    closed = _read(connection, mailing_id)
    refused = both(closed["refused"], refusal)
    if not refused and not count_reached(connection, mailing_id):
        removal.remove_keys(connection, mailing_id)
        return None
    row = new_row(closed["source"], closed["started_at"]) | {"lists": closed["lists"]}
    row["refused"] = refused
    row["tallies"] = merge_tallies([closed["tallies"]])
    successor: int = connection.execute(insert(mailings).values(**row).returning(mailings.c.id)).scalar_one()
    copy_people(connection, mailing_id, successor, only_reached=True)
    counts = recount(connection, successor)
    connection.execute(update(mailings).where(mailings.c.id == successor).values(**counts))
    for table in (mailing_keys, shared_keys):
        moved = update(table).where(table.c.mailing_id == mailing_id)
        connection.execute(moved.values(mailing_id=successor))
    return successor
