"""The event `grew`: something has arrived for a mailing that is held already, and by how much that made it grow.

A mailing that is cut up arrives in hundreds of batches: those of one minute are one event, as long as nothing else
happened in between. So the timeline tells in order what had arrived before a person's act, and what arrived after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import KEPT_BATCHES
from gatekeeper.store.db.schema import batches, events
from gatekeeper.store.db.statements import Row
from gatekeeper.store.events import Event, record

GREW = "grew"
_TOGETHER_SECONDS = 60.0  # from the first of several batches that are one event


@immutable
class Growth:
    """Batches that have arrived, and how many of them have content that is new to the mailing."""

    batches: int
    contents: int


def has_content(connection: Connection, mailing_id: int, digest: str) -> bool:
    """Return True where a batch of that content is or was stored for the mailing."""
    query = select(batches.c.id).where(batches.c.mailing_id == mailing_id, batches.c.content_digest == digest)
    return connection.execute(query.where(batches.c.state.in_(KEPT_BATCHES)).limit(1)).first() is not None


def digests_of(connection: Connection, mailing_id: int) -> list[str]:
    """Return the content digest of every batch that is or was stored for the mailing."""
    query = select(batches.c.content_digest).where(
        batches.c.mailing_id == mailing_id, batches.c.state.in_(KEPT_BATCHES)
    )
    return list(connection.execute(query).scalars())


def note_growth(
    connection: Connection, before: Row | RowMapping, after: Mapping[str, Any], grown: Growth, now: float
) -> None:
    """Write to the timeline of a held mailing what has arrived for it.

    Args: `before` is its row; `after` has the counts from now on.
    """
    fresh = {
        "users": [before["users"], after["users"]],
        "external": [before["external"], after["external"]],
        "agencies": sorted(set(after["agencies"]) - set(before["agencies"])),
        "batches": grown.batches,
        "contents": grown.contents,
        "last": now,
    }
    newest = _newest(connection, before["id"])
    if newest is None or newest["act"] != GREW or not 0 <= now - newest["at"] < _TOGETHER_SECONDS:
        record(connection, Event(now, GREW, mailing_id=before["id"], text=growth_text(fresh), details=fresh))
        return
    details = add_growth(newest["details"], fresh)
    changed = update(events).where(events.c.id == newest["id"])
    connection.execute(changed.values(text=growth_text(details), details=details))


def _newest(connection: Connection, mailing_id: int) -> RowMapping | None:
    query = select(events.c.id, events.c.act, events.c.at, events.c.details).where(events.c.mailing_id == mailing_id)
    return connection.execute(query.order_by(events.c.id.desc()).limit(1)).mappings().first()


def add_growth(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return the growth of two events that follow each other."""
    return {
        "users": [earlier["users"][0], later["users"][1]],
        "external": [earlier["external"][0], later["external"][1]],
        "agencies": sorted({*earlier["agencies"], *later["agencies"]}),
        "batches": earlier["batches"] + later["batches"],
        "contents": earlier["contents"] + later["contents"],
        "last": later["last"],
    }


def growth_text(details: Mapping[str, Any]) -> str:
    """Return the growth in words: `2,310 to 2,400 users, also in DPHHS; 2 batches, 1 of other content`."""
    whom = [_from_to(details["users"], "users")]
    if details["external"][0] != details["external"][1]:
        whom.append(_from_to(details["external"], "people outside"))
    if details["agencies"]:
        whom.append(f"also in {', '.join(details['agencies'])}")
    number = details["batches"]
    came = "1 batch" if number == 1 else f"{number:,} batches"
    other = f", {details['contents']:,} of other content" if details["contents"] else ""
    return f"{', '.join(whom)}; {came}{other}"


def _from_to(span: Sequence[int], what: str) -> str:
    before, after = span
    return f"still {after:,} {what}" if before == after else f"{before:,} to {after:,} {what}"
