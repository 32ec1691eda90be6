"""The one atomic step: find the mailing, add the people that the transaction reaches, judge, and write the outcome.

All of it happens in one savepoint of the one writer (SQLite) or under the locks of its keys (Postgres), so that of two
batches of a mailing the second always sees the first. A refusal rolls back its own additions and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, literal_column, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import KEPT_BATCHES, BatchState, MailingState, advance
from gatekeeper.model import Action, Counts, Outcome, Reason, Standing, Verdict
from gatekeeper.store.answers import answers_passed
from gatekeeper.store.arrival import Arrival, Judge
from gatekeeper.store.batches import keep_batch, repair_alike
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import batches, mailings
from gatekeeper.store.db.statements import Row, Statement, one_of
from gatekeeper.store.db.writer import Undo
from gatekeeper.store.events import Event, record
from gatekeeper.store.growth import Growth, has_content, note_growth
from gatekeeper.store.list_reach import tally
from gatekeeper.store.mailing_match import ArrivalHashes, hold_gathered, match_mailing, new_row, open_mailing
from gatekeeper.store.people import add_people, count_reached, find_new, grow, hash_people
from gatekeeper.store.permit_uses import begin_flight, claim, judge_with_permits
from gatekeeper.store.rows import (
    counts_of,
    grow_mailings,
    grown_row,
    mailing_name,
    next_number,
    reasons_from_rows,
    reasons_to_rows,
)
from gatekeeper.store.standing import Claimant, LedgerQuery, depends_on_ledger, own_standing, whole_standing

_RESEND_SECONDS = 5 * 86_400.0  # how long an MTA tries again (RFC 5321 4.5.4.1)


class Handling(StrEnum):
    """What happens to a batch that is not refused."""

    PASS = "pass"
    GATHER = "gather"
    HOLD = "hold"


def decide(
    connection: Connection, secret: bytes, arrival: Arrival, hashes: ArrivalHashes, judge: Judge
) -> Outcome | Undo[Outcome]:
    """Decide one transaction (DESIGN 3.4).

    Returns the Outcome; for reject and defer it is wrapped in Undo, so that their additions are rolled back. Raises
    what `judge` raises. A batch that is held or gathered is written as `storing`: it becomes durable only with its body
    (`batches.seal`).
    """
    kept = None if arrival.returning else _find_kept(connection, hashes.identity, arrival)
    if kept is not None:
        return _repeat(kept)
    if arrival.answers and answers_passed(connection, secret, arrival):
        counts = Counts.of(arrival.audience)
        return Outcome(judge(counts, Standing(answers=True)), counts)  # it belongs to no mailing, and nobody is counted
    mailing, joined_by = match_mailing(connection, arrival, hashes)
    is_new = mailing is None
    mailing = mailing or new_row(hashes.source, arrival.now.timestamp()) | {"id": None, "number": None}
    people = hash_people(secret, arrival.audience)
    new = find_new(connection, mailing, people)
    mailing["tallies"] = tally(connection, secret, mailing, arrival.audience, new)
    counts = grow(counts_of(mailing), arrival.audience, new, mailing["tallies"])
    verdict = _judge(connection, mailing, arrival, partial(judge, counts))
    outcome = Outcome(verdict, counts, mailing=mailing_name(mailing["number"]))
    if verdict.action in (Action.REJECT, Action.DEFER):
        return Undo(outcome)
    handling = _handling_of(mailing, arrival, verdict)
    if is_new:
        mailing["id"] = open_mailing(connection, mailing, hashes)
    relayed = add_people(connection, mailing, people, new, reached=handling is Handling.PASS)
    number = _write_mailing(connection, mailing, arrival, _Decided(verdict, counts, relayed, handling, joined_by))
    flight = _claim(connection, mailing["id"], arrival, verdict, handling)
    outcome = replace(outcome, mailing=mailing_name(number), key=mailing["id"], gathered=handling is Handling.GATHER)
    if handling is Handling.PASS:
        return replace(outcome, flight=flight)
    return replace(outcome, batch=keep_batch(connection, mailing["id"], arrival, hashes.identity, outcome))


def _judge(connection: Connection, mailing: Row, arrival: Arrival, judge: Callable[[Standing], Verdict]) -> Verdict:
    """Judge by the mailing's own state; where the verdict may depend on the rest of the ledger, judge by all of it."""
    own = own_standing(connection, mailing)
    verdict = judge(own)
    if not depends_on_ledger(verdict):
        return verdict
    claimant = Claimant(arrival.source, arrival.facts.subject_key)
    query = LedgerQuery([claimant], arrival.earlier, arrival.now.timestamp())
    whole = whole_standing(connection, mailing, own, query)
    return judge_with_permits(connection, mailing["id"], whole, judge, lambda verdict: verdict.permits)


def _claim(
    connection: Connection, mailing_id: int, arrival: Arrival, verdict: Verdict, handling: Handling
) -> int | None:
    """Use the permits that cleared holds. Return the id of the flight that begins where the batch passes by them."""
    if not verdict.permits:
        return None
    now, passes = arrival.now.timestamp(), handling is Handling.PASS
    relayed = len(arrival.transaction.recipients) if passes else 0
    permits = claim(connection, verdict.permits, mailing_id, now, relayed=relayed)
    return begin_flight(connection, permits, now) if passes else None


def _handling_of(mailing: Row, arrival: Arrival, verdict: Verdict) -> Handling:
    """Return how a batch is handled.

    Gathered is only what would pass, is covered by no permit, and is cut-up mail or joins it (DESIGN 3.5).
    """
    if verdict.action is Action.HOLD:
        return Handling.HOLD
    gathering = arrival.gathering
    if gathering is None or verdict.permits or mailing["state"] == MailingState.RELEASED:
        return Handling.PASS
    waits = gathering.opens or mailing["state"] == MailingState.GATHERING
    return Handling.GATHER if waits else Handling.PASS


# -- resends -----------------------------------------------------------------------------------------------------


def _find_kept(connection: Connection, identity: Hash, arrival: Arrival) -> Row | None:
    """Return a batch with the same envelope, Message-ID and content that is stored, or was stored and sent."""
    since = arrival.now.timestamp() - _RESEND_SECONDS
    found = _KEPT.rows(connection, {"identity": identity, "since": since})
    return found[0] if found else None


_KEPT = Statement(
    lambda _: (
        select(
            batches.c.id.label("batch_id"),
            batches.c.reasons.label("batch_reasons"),
            batches.c.gathered.label("batch_gathered"),
            mailings,
        )
        .join(mailings, batches.c.mailing_id == mailings.c.id)
        .where(batches.c.identity == bindparam("identity"), one_of(batches.c.state, KEPT_BATCHES))
        .where((batches.c.state != BatchState.SENT.value) | (batches.c.received_at > bindparam("since")))
        .limit(literal_column("1"))
    )
)


def _repeat(kept: Row) -> Outcome:
    action = Action.RELAY if kept["batch_gathered"] else Action.HOLD
    return Outcome(
        Verdict(action, reasons_from_rows(kept["batch_reasons"]), mass=True),
        counts_of(kept),
        mailing_name(kept["number"]),
        key=kept["id"],
        batch=kept["batch_id"],
        gathered=kept["batch_gathered"],
        repeated=True,
    )


# -- what is written ---------------------------------------------------------------------------------------------


@immutable
class _Decided:
    """What was decided about a batch: `relayed` people are reached first by it, `joined_by` is the kind of its key."""

    verdict: Verdict
    counts: Counts
    relayed: int
    handling: Handling
    joined_by: str | None


def _write_mailing(connection: Connection, mailing: Row, arrival: Arrival, decided: _Decided) -> int | None:
    """Write the mailing's row after a batch; return the mailing's number, None while it has none."""
    verdict, counts, handling = decided.verdict, decided.counts, decided.handling
    now = arrival.now.timestamp()
    if handling is Handling.HOLD and mailing["state"] == MailingState.HELD:
        _note_growth(connection, mailing, arrival, counts)
    mailing |= grown_row(mailing, counts, now, relayed=decided.relayed, joined_by=decided.joined_by)
    grow_mailings(connection, [mailing])
    changes: dict[str, Any] = {}
    if mailing.get("sender") is None and (verdict.mass or verdict.permits or handling is not Handling.PASS):
        changes |= _named(connection, mailing, arrival)
    if verdict.mass and not mailing["mass"]:
        changes["mass"] = True
    if handling is Handling.HOLD:
        changes |= held_changes(connection, mailing, verdict.reasons, now)
        if verdict.blind:
            repair_alike(connection, mailing["id"], arrival.facts.content_digest, verdict.reasons)
    elif handling is Handling.GATHER:
        changes |= _gathering(connection, mailing, arrival, now)
    if changes:
        connection.execute(update(mailings).where(mailings.c.id == mailing["id"]).values(**changes))
    number: int | None = changes.get("number", mailing["number"])
    return number


def _note_growth(connection: Connection, mailing: Row, arrival: Arrival, counts: Counts) -> None:
    """Write to the timeline of a held mailing that more of it has arrived, for people who have looked at it."""
    is_other = not has_content(connection, mailing["id"], arrival.facts.content_digest)
    after = {"users": counts.users, "external": counts.external, "agencies": counts.agencies}
    note_growth(connection, mailing, after, Growth(1, int(is_other)), arrival.now.timestamp())


def _named(connection: Connection, mailing: Row, arrival: Arrival) -> dict[str, Any]:
    """Return the number, sender and subject that a mailing is known by from here on (DESIGN 1.5).

    A mailing that had passed as ordinary mail, and whose addresses were removed, has its number already.
    """
    return {
        "number": next_number(connection, "mailing") if mailing["number"] is None else mailing["number"],
        "sender": arrival.source.mailbox,
        "subject": arrival.facts.subject or "",
        "agency": arrival.source.agency,
    }


def held_changes(
    connection: Connection, mailing: Row | RowMapping, reasons: tuple[Reason, ...], now: float
) -> dict[str, Any]:
    """Return the columns that change when a mailing is held. What was gathered of it is held with it."""
    state = MailingState(mailing["state"])
    holding = [reason for reason in reasons if reason.action is Action.HOLD or reason.unknown]
    changes = {"state": advance(state, "hold").value, "reasons": reasons_to_rows(holding), "gather_until": None}
    if state is MailingState.HELD:
        return changes
    reached = count_reached(connection, mailing["id"])
    text = ", ".join(reason.rule for reason in holding) + (f"; {reached} people were reached before" if reached else "")
    record(connection, Event(now, "held", mailing_id=mailing["id"], text=text))
    hold_gathered(connection, mailing["id"])
    return changes | {"held_at": now, "reached_before": reached}


def _gathering(connection: Connection, mailing: Row, arrival: Arrival, now: float) -> dict[str, Any]:
    """Return the columns that change when a mailing gathers.

    The gather waits until nothing has arrived for `quiet`, and ends at most `limit` after its first batch.
    """
    assert arrival.gathering is not None  # else its handling were another
    state = MailingState(mailing["state"])
    begins = state is not MailingState.GATHERING
    since = now if begins else mailing["gather_since"]
    if begins:
        record(connection, Event(now, "gathering", mailing_id=mailing["id"]))
    until = min(now + arrival.gathering.quiet, since + arrival.gathering.limit)
    return {
        "state": advance(state, "gather").value,
        "gather_since": since,
        "gather_until": until,
        "gather_leased": None,  # a node that judges it now has not seen this batch
    }
