"""Versions: an opaque name for all that a person would want to see of a case before deciding about it.

A version is a digest of a state, so that it changes with the state and with nothing else: a reminder, or becoming held
again with nothing new, does not change it. The state behind a version is stored when somebody is shown it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from gatekeeper.lifecycle import KEPT_BATCHES, UNACKNOWLEDGED
from gatekeeper.store import removal
from gatekeeper.store.db.schema import batches, events, seen_states
from gatekeeper.store.db.statements import upsert

AGREED, IN_PART = "agreed", "approved in part"
_DECISIONS = (  # acts by which somebody has decided, so that people who looked before should look again
    AGREED, IN_PART, "approved", "released", "denied", "returned", "refused", "withdrawn", "expired", "asked",
    "stopped",
)  # fmt: skip
_ACKNOWLEDGED = KEPT_BATCHES - UNACKNOWLEDGED
_CHUNK = 500  # ids in one statement
_DAY_SECONDS = 86_400.0


def version_of(state: Any) -> str:
    """Return the version of a state, given as JSON values."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()[:20]


def mailing_versions(connection: Connection, rows: Iterable[Mapping[str, Any] | RowMapping]) -> dict[int, str]:
    """Return the versions of mailings, by key: of contents, people reached, reasons and decisions."""
    known = {row["id"]: row for row in rows}
    contents = _contents(connection, list(known))
    decisions = _decisions(connection, list(known))
    return {
        key: version_of([_reach(row), sorted(contents.get(key, ())), decisions.get(key, [])])
        for key, row in known.items()
    }


def _reach(row: Mapping[str, Any] | RowMapping) -> list[Any]:
    rules = sorted({reason["rule"] for reason in row["reasons"]})
    return [row["id"], row["users"], row["external"], sorted(row["agencies"]), sorted(row["lists"]), rules]


def _contents(connection: Connection, keys: list[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for start in range(0, len(keys), _CHUNK):
        query = select(batches.c.mailing_id, batches.c.content_digest).distinct()
        query = query.where(batches.c.mailing_id.in_(keys[start : start + _CHUNK]), batches.c.state.in_(_ACKNOWLEDGED))
        for key, digest in connection.execute(query):
            found.setdefault(key, set()).add(digest)
    return found


def _decisions(connection: Connection, keys: list[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for start in range(0, len(keys), _CHUNK):
        query = select(events.c.mailing_id, events.c.act, events.c.by, events.c.at).order_by(events.c.id)
        query = query.where(events.c.mailing_id.in_(keys[start : start + _CHUNK]), events.c.act.in_(_DECISIONS))
        for key, act, by, at in connection.execute(query):
            found.setdefault(key, []).append([act, by, at])
    return found


# -- the states behind versions ----------------------------------------------------------------------------------


def unkept(connection: Connection, states: Mapping[str, Mapping[str, Any]], now: float) -> dict[str, Mapping[str, Any]]:
    """Return those of these states that `keep` would write, so that looking at what is known takes no writer."""
    found: dict[str, Mapping[str, Any]] = dict(states)
    for start in range(0, len(states), _CHUNK):
        chosen = list(states)[start : start + _CHUNK]
        recent = (seen_states.c.version.in_(chosen), seen_states.c.at >= now - _DAY_SECONDS)
        for version in connection.execute(select(seen_states.c.version).where(*recent)).scalars():
            del found[version]
    return found


def keep(connection: Connection, states: Mapping[str, Mapping[str, Any]], now: float) -> None:
    """Store the states behind versions that a person is about to be shown, as they were when they were first shown.

    A version that is shown again is kept for longer; its time is written once a day at most.
    """
    versions = sorted(states)  # in one order, so that of two who list at once neither waits for the other for ever
    for start in range(0, len(versions), _CHUNK):
        chosen = versions[start : start + _CHUNK]
        query = select(seen_states.c.version, seen_states.c.at).where(seen_states.c.version.in_(chosen))
        known = dict(map(tuple, connection.execute(query)))
        if shown_again := [version for version, at in known.items() if at < now - _DAY_SECONDS]:
            connection.execute(update(seen_states).where(seen_states.c.version.in_(shown_again)).values(at=now))
        fresh = [{"version": each, "state": dict(states[each]), "at": now} for each in chosen if each not in known]
        if fresh:
            statement = upsert(connection, seen_states).on_conflict_do_nothing(index_elements=["version"])
            connection.execute(statement, fresh)


def recall(connection: Connection, version: str) -> Mapping[str, Any] | None:
    """Return the state behind a version; None where nobody was shown it, or long ago."""
    found: Mapping[str, Any] | None = connection.execute(
        select(seen_states.c.state).where(seen_states.c.version == version)
    ).scalar()
    return found


def forget(connection: Connection, before: float) -> None:
    """Remove states that were last shown before that time, less a day; none while something is preserved."""
    removal.forget_seen(connection, before)
