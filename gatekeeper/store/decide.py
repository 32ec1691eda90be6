"""The one atomic step: find the mailing, add the people that the transaction reaches, judge, and write the outcome.

Arrivals that wait at the same time are decided one after another, in the order in which they came, as one unit of work
of the one writer (SQLite) or under the locks of their keys (Postgres): of two batches of a mailing the second always
sees the first. A refusal adds nobody and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection, RowMapping, update
from sqlalchemy.exc import SQLAlchemyError

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState, advance
from gatekeeper.model import Action, Counts, Outcome, Reason, Verdict
from gatekeeper.store import matter_people
from gatekeeper.store.across import count_across, is_passed_on, most_across, open_common
from gatekeeper.store.active_mailing import ActiveMailing
from gatekeeper.store.arrival import Arrival
from gatekeeper.store.batches import keep_batch, repair_alike
from gatekeeper.store.count_sent import count_sent
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import mailings
from gatekeeper.store.db.statements import Row
from gatekeeper.store.events import Event, record
from gatekeeper.store.growth import Growth, has_content, note_growth
from gatekeeper.store.kept import NO_LIMITS, KeepLimits, KeptTooMuch, find_obstacle
from gatekeeper.store.list_reach import Tallies, tally
from gatekeeper.store.mailing_keys import COMMON, STRONG
from gatekeeper.store.mailing_match import Match, hold_gathered, match_mailing
from gatekeeper.store.people import PersonRow, count_reached, grow, mark_reached_among
from gatekeeper.store.permit_uses import begin_flight, claim, first_beginning, judge_with_permits
from gatekeeper.store.refusals import refusal_by, remember, remembered_counts, still_refuses
from gatekeeper.store.rest import keep_rest
from gatekeeper.store.rows import (
    counts_to_row,
    next_number,
    reasons_to_rows,
)
from gatekeeper.store.standing import Claimant, LedgerQuery, own_standing, whole_standing
from gatekeeper.store.uncounted import find_uncounted
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


class Handling(StrEnum):
    """What happens to a batch that is not refused."""

    PASS = "pass"
    GATHER = "gather"
    HOLD = "hold"


@immutable
class _Judged:
    """A verdict on an arrival, and what it is about."""

    # all but the verdict is of its mailing alone, even where the verdict is on all mailings of its text

    pending: PendingDecision
    match: Match
    new: dict[Hash, PersonRow]  # people whom its mailing did not count
    tallies: Tallies
    counts: Counts  # with these people
    verdict: Verdict
    shares: bool = True  # its text is counted with that of other mailings


def decide(
    connection: Connection, secret: bytes, pending: Sequence[PendingDecision], limits: KeepLimits = NO_LIMITS
) -> list[Outcome | Exception]:
    """Decide arrivals in the order in which they came; return an Outcome for each, what its judge raised, or
    KeptTooMuch for one that is to be kept and has no room.

    A batch that is held or gathered is written as `storing`: it becomes durable only with its body (`batches.seal`).
    Raises whatever else fails; nothing of all that may be committed then.
    """
    unit = UnitOfWork(connection, secret, limits)
    outcomes = []
    for place in range(len(pending)):
        outcomes.append(_decide(unit, pending[place:]))
    unit.write()
    return outcomes


def _decide(unit: UnitOfWork, waiting: Sequence[PendingDecision]) -> Outcome | Exception:
    """Decide the first of the arrivals that wait."""
    unit.read(waiting)
    pending = waiting[0]
    try:
        judged = find_uncounted(unit, pending) or _judge(unit, pending)
    except SQLAlchemyError:
        raise
    except Exception as error:
        unit.take_back()
        return error
    if isinstance(judged, Outcome):
        return judged
    if judged.verdict.action in (Action.REJECT, Action.DEFER):
        unit.take_back()
        if judged.verdict.lasting:
            unit.read(waiting)
            refusal = refusal_by(judged.verdict.lasting, judged.verdict.mendable, judged.counts)
            remember(unit, pending, judged.match.mailing, refusal)
        return Outcome(judged.verdict, judged.counts, judged.match.mailing.name)
    if full := _find_obstacle(unit, judged):
        unit.take_back()
        return full
    outcome = _add_batch(unit, judged)
    unit.keep_merged()
    return outcome


# -- judge -------------------------------------------------------------------------------------------------------


def _judge(unit: UnitOfWork, pending: PendingDecision) -> _Judged:
    """Judge an arrival by the counts of its mailing with the arrival in them; nothing but merges is changed.

    Where a part of the mailing was refused, it is first judged as a part of what was refused.
    """
    match = match_mailing(unit, pending)
    if refused := _judge_as_refused(unit, pending, match):
        return refused
    judged = _judge_alone(unit, pending, match, shares=match.joined_by != COMMON)
    mailing = judged.match.mailing
    if not judged.shares or not unit.people_across(pending, mailing):
        return judged
    if is_passed_on(unit, pending, mailing):
        return replace(judged, shares=False)
    passes = judged.verdict.action.passes and not judged.verdict.permits
    return _judge_across(unit, judged) if passes else judged


def _judge_as_refused(unit: UnitOfWork, pending: PendingDecision, match: Match) -> _Judged | None:
    memory = match.mailing.row["refused"]
    if not memory:
        return None
    counts = replace(remembered_counts(memory), sent=count_sent(unit, pending))
    verdict = _verdict(unit, match.mailing, pending, counts)
    is_same = match.joined_by in STRONG
    return _Judged(pending, match, {}, {}, counts, verdict) if still_refuses(memory, verdict, is_same=is_same) else None


def _judge_alone(unit: UnitOfWork, pending: PendingDecision, match: Match, *, shares: bool) -> _Judged:
    audience = pending.arrival.audience
    new = match.mailing.find_new(unit.connection, pending.people)
    tallies = tally(unit, match.mailing, audience, new)
    counts = grow(match.mailing.counts, audience, new, tallies)
    if pending.arrival.sent:
        counts = replace(counts, sent=count_sent(unit, pending))
    verdict = _verdict(unit, match.mailing, pending, counts)
    return _Judged(pending, match, new, tallies, counts, verdict, shares)


def _judge_across(unit: UnitOfWork, judged: _Judged) -> _Judged:
    """Judge what would pass by the counts of all mailings of its text; if these hold it, hold it in the common one.

    A rule that matches for fewer people matches for more: what passes by the most that these may be needs no reading of
    all people. Whether its own mailing is mass does not depend on what others send.
    """
    pending, own = judged.pending, judged.match.mailing
    most = most_across(unit, pending, own, judged.counts)
    if most is None:
        return judged
    if not pending.arrival.observes_counts and _passes_unasked(verdict := _verdict(unit, own, pending, most)):
        return replace(judged, verdict=replace(verdict, mass=judged.verdict.mass))
    across = count_across(unit, pending, own, judged.counts)
    verdict = _verdict(unit, own, pending, across)
    if verdict.action is Action.HOLD:
        return _judge_alone(unit, pending, Match(open_common(unit, pending, own), None, {}), shares=False)
    counts = across if verdict.action is Action.REJECT else judged.counts  # a refusal adds nobody to its own
    return replace(judged, counts=counts, verdict=replace(verdict, mass=judged.verdict.mass))


def _passes_unasked(verdict: Verdict) -> bool:
    """Return True where no rule matches, nor did one before a permit."""
    return verdict.action is Action.RELAY and not verdict.reasons and not verdict.permits


def _verdict(unit: UnitOfWork, mailing: ActiveMailing, pending: PendingDecision, counts: Counts) -> Verdict:
    """Judge by the mailing's own state; where the verdict may depend on the rest of the ledger, judge by all of it."""
    judge, own = partial(pending.judge, counts), own_standing(unit.connection, mailing.row)
    verdict = judge(own)
    if not verdict.depends_on_ledger:
        return verdict
    arrival = pending.arrival
    if arrival.earlier:
        unit.write()  # earlier mailings are looked for in the database
    claimant, source = Claimant(arrival.source, arrival.facts.subject_key), mailing.row["source"]
    query = LedgerQuery([claimant], arrival.earlier, pending.now, source, mailing.id)
    whole = whole_standing(unit.connection, own, query)
    return judge_with_permits(unit.connection, mailing.id, whole, judge, lambda verdict: verdict.permits)


# -- write -------------------------------------------------------------------------------------------------------


def _find_obstacle(unit: UnitOfWork, judged: _Judged) -> KeptTooMuch | None:
    """Return why a batch that is to be kept, or the rest of one that passes, cannot be."""
    pending = judged.pending
    passes = _handling_of(judged.match.mailing, pending.arrival, judged.verdict) is Handling.PASS
    if passes and not pending.arrival.transaction.beyond:
        return None
    return find_obstacle(unit.connection, pending.arrival, unit.kept_as(pending), unit.limits)


def _add_batch(unit: UnitOfWork, judged: _Judged) -> Outcome:
    """Count a batch in its mailing, in memory; whatever more its verdict asks for is written at once."""
    mailing, verdict = judged.match.mailing, judged.verdict
    handling = _handling_of(mailing, judged.pending.arrival, verdict)
    passes = handling is Handling.PASS
    is_whole = passes and not judged.pending.arrival.transaction.beyond  # nothing of it is kept
    if handling is Handling.HOLD and mailing.state is MailingState.HELD:
        _note_growth(unit.connection, judged)
    _count(unit, judged, reached=passes)
    if mailing.row["sender"] is None and (verdict.mass or verdict.permits or not is_whole):
        mailing.change(_named(unit.connection, mailing, judged.pending.arrival))
    if verdict.mass and not mailing.row["mass"]:
        mailing.change({"mass": True})
    if is_whole and not verdict.permits:
        return Outcome(verdict, judged.counts, mailing.name, key=mailing.id)
    return _act(unit, judged, handling)


def _act(unit: UnitOfWork, judged: _Judged, handling: Handling) -> Outcome:
    """Hold or gather a batch that is counted, or keep its rest; use the permits that cleared holds of it."""
    mailing, passes = judged.match.mailing, handling is Handling.PASS
    unit.write()  # what follows refers to the rows of the mailing and its people
    if not passes:
        changes = _held if handling is Handling.HOLD else _gathering
        mailing.change(changes(unit.connection, judged))
        unit.note(mailing, {})
    flight = _claim(unit.connection, judged, passes=passes)
    gathered = handling is Handling.GATHER
    outcome = Outcome(judged.verdict, judged.counts, mailing.name, key=mailing.id, gathered=gathered, flight=flight)
    if not passes:
        return _keep(unit, judged.pending, outcome)
    if not judged.pending.arrival.transaction.beyond:
        return outcome
    return replace(outcome, rest=keep_rest(unit, judged.pending, mailing.id, outcome))


def _handling_of(mailing: ActiveMailing, arrival: Arrival, verdict: Verdict) -> Handling:
    """Return how a batch is handled.

    Gathered is only what would pass, is covered by no permit, and is cut-up mail or joins it.
    """
    if verdict.action is Action.HOLD:
        return Handling.HOLD
    gathering = arrival.gathering
    if gathering is None or verdict.permits or mailing.state is MailingState.RELEASED:
        return Handling.PASS
    if mailing.state is MailingState.GATHERING and mailing.row["refused"]:
        return Handling.PASS  # what was gathered is about to be returned, and this was put right
    waits = gathering.opens or mailing.state is MailingState.GATHERING
    return Handling.GATHER if waits else Handling.PASS


def _count(unit: UnitOfWork, judged: _Judged, *, reached: bool) -> None:
    """Add the batch to its mailing; `reached` where it passes. From now on its keys lead there."""
    mailing, match = judged.match.mailing, judged.match
    row, kind, joined = mailing.row, match.joined_by, mailing.row["joined"]
    row["changed_at"], row["tallies"] = judged.pending.now, judged.tallies
    row["relayed"] += _count_reached_first(unit, judged) if reached else 0
    row["joined"] = {**joined, kind: joined.get(kind, 0) + 1} if kind else joined
    row["version"] += 1
    mailing.grow(judged.new, judged.counts, reached=reached)
    unit.note(mailing, match.free)
    unit.note_sent(mailing, judged.pending)
    if judged.shares:
        unit.note_text(mailing, judged.pending)


def _count_reached_first(unit: UnitOfWork, judged: _Judged) -> int:
    """Return how many people a batch that passes reaches whom nothing relayed had reached before.

    Those beyond the next hop's limit are counted with what is kept for them.
    """
    mailing, new = judged.match.mailing, judged.new
    known = [hash_ for hash_ in judged.pending.people if hash_ not in new]
    reached = len(new)
    if known and mailing.row["number"] is not None:  # else nothing of it was stored: everybody counted was reached
        unit.write()
        reached += mark_reached_among(unit.connection, mailing.id, known)
    transaction = judged.pending.arrival.transaction
    return min(reached, len(transaction.recipients) - transaction.beyond) if transaction.beyond else reached


def _note_growth(connection: Connection, judged: _Judged) -> None:
    """Write to the timeline of a held mailing that more of it has arrived, for people who have looked at it."""
    mailing, digest = judged.match.mailing, judged.pending.arrival.facts.content_digest
    is_other = not has_content(connection, mailing.id, digest)
    before, after = mailing.row | counts_to_row(mailing.counts), counts_to_row(judged.counts)
    note_growth(connection, before, after, Growth(1, int(is_other)), judged.pending.now)


def _named(connection: Connection, mailing: ActiveMailing, arrival: Arrival) -> Row:
    """Return the number, sender and subject that a mailing is known by from here on, and note whose it is.

    A mailing that had passed as ordinary mail, and whose addresses were removed, has its number already.
    """
    matter_people.note(connection, matter_people.MAILING, mailing.id, matter_people.OWN, arrival.source.owners)
    number = mailing.row["number"]
    return {
        "number": next_number(connection, "mailing") if number is None else number,
        "sender": arrival.source.mailbox,
        "subject": arrival.facts.subject or "",
        "agency": arrival.source.agency,
    }


def _held(connection: Connection, judged: _Judged) -> Row:
    mailing, verdict = judged.match.mailing, judged.verdict
    changes = held_changes(connection, mailing.row, verdict.reasons, judged.pending.now)
    if verdict.blind:
        repair_alike(connection, mailing.id, judged.pending.arrival.facts.content_digest, verdict.reasons)
    return changes


def held_changes(connection: Connection, mailing: Row | RowMapping, reasons: tuple[Reason, ...], now: float) -> Row:
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
    if (begins := first_beginning(connection, now)) is not None:  # it may be the permit of this mailing
        connection.execute(update(mailings).where(mailings.c.id == mailing["id"]).values(look_again=begins))
    return changes | {"held_at": now, "reached_before": reached}


def _gathering(connection: Connection, judged: _Judged) -> Row:
    """Return the columns that change when a mailing gathers.

    The gather waits until nothing has arrived for `quiet`, and ends at most `limit` after its first batch.
    """
    mailing, now, gathering = judged.match.mailing, judged.pending.now, judged.pending.arrival.gathering
    assert gathering is not None  # else its handling were another
    begins = mailing.state is not MailingState.GATHERING
    since = now if begins else mailing.row["gather_since"]
    if begins:
        record(connection, Event(now, "gathering", mailing_id=mailing.id))
    until = min(now + gathering.quiet, since + gathering.limit)
    return {
        "state": advance(mailing.state, "gather").value,
        "gather_since": since,
        "gather_until": until,
        "gather_leased": None,  # a node that judges it now has not seen this batch
    }


def _claim(connection: Connection, judged: _Judged, *, passes: bool) -> int | None:
    """Use the permits that cleared holds. Return the id of the flight that begins where the batch passes by them."""
    permits = judged.verdict.permits
    if not permits:
        return None
    transaction = judged.pending.arrival.transaction
    relayed = len(transaction.recipients) - transaction.beyond if passes else 0
    claimed = claim(connection, permits, judged.match.mailing.id, judged.pending.now, relayed=relayed)
    return begin_flight(connection, claimed, judged.pending.now) if passes else None


def _keep(unit: UnitOfWork, pending: PendingDecision, outcome: Outcome) -> Outcome:
    """Write the batch, which is held or gathered, and return the outcome with it."""
    assert outcome.key is not None  # a batch is kept of a mailing
    batch = keep_batch(unit.connection, outcome.key, pending.arrival, unit.kept_as(pending), outcome)
    unit.add_kept(pending)
    return replace(outcome, batch=batch)
