"""The one atomic step: find the mailing, add whom the transaction reaches, judge, and write what came of it.

All of it happens in one savepoint of one writer (SQLite) or under the locks of its keys (Postgres), so that of two
batches of a mailing the second always sees the first. A refusal rolls back its own additions and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from gatekeeper.lifecycle import ACTIVE_MAILINGS, KEPT_BATCHES, MailingState, advance
from gatekeeper.model import Action, Counts, Keys, Outcome, Standing, Verdict
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.hashing import Hash, keyed, lock_name
from gatekeeper.store.keeping import keep_batch
from gatekeeper.store.people import add_people, find_new, grow, hash_people
from gatekeeper.store.rows import (
    counts_of,
    mailing_name,
    next_number,
    permit_of,
    reasons_from_rows,
    reasons_to_rows,
    upsert,
)
from gatekeeper.store.schema import batches, mailing_keys, mailings, permits
from gatekeeper.store.timeline import record
from gatekeeper.store.writer import Undo

Judge = Callable[[Counts, Standing], Verdict]


@dataclass(frozen=True, slots=True)
class Hashes:
    """An arrival's names under the database's key."""

    source: Hash
    identity: Hash
    keys: tuple[tuple[Hash, str], ...]  # with their kinds; strong ones first

    @property
    def locks(self) -> tuple[int, ...]:
        """What to lock on Postgres: the source and whatever else may join another's mailing."""
        return (lock_name(self.source), *(lock_name(key) for key, kind in self.keys if kind in _STRONG))


_STRONG = ("queue", "message")


def hash_arrival(secret: bytes, arrival: Arrival) -> Hashes:
    """Hash an arrival's source, identity and keys; weak keys together with their source."""
    mailbox = arrival.source.mailbox
    keys = () if arrival.separate else _hash_keys(secret, arrival.keys, mailbox)
    return Hashes(keyed(secret, f"source {mailbox}"), keyed(secret, f"batch {arrival.identity}"), keys)


def _hash_keys(secret: bytes, keys: Keys, mailbox: str) -> tuple[tuple[Hash, str], ...]:
    strong = [(keyed(secret, key), key.partition(":")[0]) for key in keys.strong]
    weak = [(keyed(secret, f"{mailbox} {key}"), key.partition(":")[0]) for key in keys.weak]
    return tuple(strong + weak)


def decide(
    connection: Connection, secret: bytes, arrival: Arrival, hashes: Hashes, judge: Judge
) -> Outcome | Undo[Outcome]:
    """Decide one transaction (DESIGN 3.4).

    Returns the Outcome; wrapped in Undo for reject and defer, whose additions are taken back. What `judge` raises is
    raised. For a hold the batch is written as `storing`: it is durable only once its body is (see bodies.seal).
    """
    kept = _find_kept(connection, hashes.identity)
    if kept is not None:
        return _repeat(kept)
    mailing = _find_mailing(connection, arrival, hashes) or _open_mailing(connection, arrival, hashes)
    people = hash_people(secret, arrival.audience)
    new = find_new(connection, mailing, people)
    counts = grow(counts_of(mailing), arrival.audience, new)
    standing = _standing(connection, mailing)
    verdict = judge(counts, standing)
    outcome = Outcome(verdict, counts, mailing=standing.mailing)
    if verdict.action in (Action.REJECT, Action.DEFER):
        return Undo(outcome)
    passes = verdict.action.passes
    relayed = add_people(connection, mailing, people, new, reached=passes)
    number = _write_mailing(connection, mailing, arrival, verdict, counts, relayed)
    batch = None if passes else keep_batch(connection, mailing["id"], arrival, hashes.identity, verdict)
    return replace(outcome, mailing=mailing_name(number), key=mailing["id"], batch=batch)


# -- resends -----------------------------------------------------------------------------------------------------


def _find_kept(connection: Connection, identity: Hash) -> RowMapping | None:
    """A batch that we keep, or kept and sent, with the same envelope, Message-ID and content."""
    query = (
        select(batches.c.id.label("batch_id"), batches.c.reasons.label("batch_reasons"), mailings)
        .join(mailings, batches.c.mailing_id == mailings.c.id)
        .where(batches.c.identity == identity, batches.c.state.in_(KEPT_BATCHES))
        .limit(1)
    )
    return connection.execute(query).mappings().first()


def _repeat(kept: RowMapping) -> Outcome:
    verdict = Verdict(Action.HOLD, reasons_from_rows(kept["batch_reasons"]), mass=True)
    name = mailing_name(kept["number"])
    return Outcome(verdict, counts_of(kept), name, key=kept["id"], batch=kept["batch_id"], repeated=True)


# -- the mailing -------------------------------------------------------------------------------------------------


def _find_mailing(connection: Connection, arrival: Arrival, hashes: Hashes) -> RowMapping | None:
    """The mailing that a key joins; a strong key's before a weak one's, then the oldest."""
    if not hashes.keys:
        return None
    since = (arrival.now - arrival.within).timestamp()
    query = (
        select(mailings, mailing_keys.c.kind, mailing_keys.c.key)
        .join(mailing_keys, mailing_keys.c.mailing_id == mailings.c.id)
        .where(mailing_keys.c.key.in_([key for key, _ in hashes.keys]))
        .where(mailings.c.state.in_(ACTIVE_MAILINGS), mailings.c.started_at > since)
    )
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(of=mailings)
    found = connection.execute(query).mappings().all()
    if not found:
        return None
    mailing = min(found, key=lambda row: (row["kind"] not in _STRONG, row["id"]))
    _claim_keys(connection, mailing["id"], hashes, {bytes(row["key"]) for row in found})
    return mailing


def _open_mailing(connection: Connection, arrival: Arrival, hashes: Hashes) -> RowMapping:
    now = arrival.now.timestamp()
    row = {
        "state": MailingState.OPEN.value,
        "source": hashes.source,
        "started_at": now,
        "changed_at": now,
        "users": 0,
        "external": 0,
        "unresolved": 0,
        "relayed": 0,
        "agencies": {},
        "lists": [],
        "reasons": [],
    }
    query = insert(mailings).values(**row).returning(mailings)
    mailing = connection.execute(query).mappings().one()
    _claim_keys(connection, mailing["id"], hashes, set())
    return mailing


def _claim_keys(connection: Connection, mailing_id: int, hashes: Hashes, taken: set[Hash]) -> None:
    """Point the keys here that lead to no mailing that still takes in batches."""
    rows = [{"key": key, "mailing_id": mailing_id, "kind": kind} for key, kind in hashes.keys if key not in taken]
    if not rows:
        return
    statement = upsert(connection, mailing_keys)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["key"], set_={"mailing_id": statement.excluded.mailing_id}),
        rows,
    )


def release_keys(connection: Connection, mailing_id: int) -> None:
    """Detach a mailing's keys: what comes next under them is another mailing (DESIGN 6)."""
    connection.execute(delete(mailing_keys).where(mailing_keys.c.mailing_id == mailing_id))


def _standing(connection: Connection, mailing: RowMapping) -> Standing:
    if mailing["number"] is None:
        return Standing(state=mailing["state"])
    query = select(permits).where(permits.c.mailing_id == mailing["id"], permits.c.state == "in force")
    granted = tuple(permit_of(row) for row in connection.execute(query).mappings())
    name = mailing_name(mailing["number"])
    return Standing(name, mailing["state"], reasons_from_rows(mailing["reasons"]), granted)


def _write_mailing(
    connection: Connection, mailing: RowMapping, arrival: Arrival, verdict: Verdict, counts: Counts, relayed: int
) -> int | None:
    now = arrival.now.timestamp()
    changes: dict[str, Any] = {
        "changed_at": now,
        "users": counts.users,
        "external": counts.external,
        "unresolved": counts.unresolved,
        "agencies": dict(counts.agencies),
        "lists": sorted(counts.lists),
        "relayed": mailing["relayed"] + relayed,
    }
    held = verdict.action is Action.HOLD
    if mailing["number"] is None and (verdict.mass or held):
        changes |= _named(connection, arrival)
    if held:
        changes |= _held(connection, mailing, verdict, now)
    connection.execute(update(mailings).where(mailings.c.id == mailing["id"]).values(**changes))
    number: int | None = changes.get("number", mailing["number"])
    return number


def _named(connection: Connection, arrival: Arrival) -> dict[str, Any]:
    """From here on the mailing has a number, and we know it by name (DESIGN 1.5)."""
    return {
        "number": next_number(connection, "mailing"),
        "sender": arrival.source.mailbox,
        "subject": arrival.facts.subject or "",
    }


def _held(connection: Connection, mailing: RowMapping, verdict: Verdict, now: float) -> dict[str, Any]:
    state = MailingState(mailing["state"])
    after = advance(state, "hold")
    holding = [reason for reason in verdict.reasons if reason.action is Action.HOLD or reason.unknown]
    changes: dict[str, Any] = {"state": after.value, "reasons": reasons_to_rows(holding)}
    if state is not MailingState.HELD:
        changes["held_at"] = now
        text = ", ".join(reason.rule for reason in holding)
        record(connection, mailing["id"], now, "held", text=text)
    return changes
