"""What a mailing remembers of a part that was refused: by which rules, and how far it would have reached.

A mail server cuts a message up, and each part alone may be too small for a rule about mass mail. So later parts are
first judged as though they were as large as the one that was refused: where the same rule still refuses them, they
share its fate. One that was put right is judged by what was really counted. The memory goes with the mailing's keys.

A new message that only resembles the refused one is refused alike only for something in it that could be put right. For
numbers alone, or for who sends it, it is not: it may go to fewer people.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Action, Counts, Verdict
from gatekeeper.store.active_mailing import ActiveMailing
from gatekeeper.store.db.statements import Row
from gatekeeper.store.rows import counts_of, counts_to_row
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def refusal_by(lasting: Iterable[str], mendable: Iterable[str], counts: Counts) -> Row:
    """Return what is remembered of a refusal, as JSON.

    Args: `lasting` are the rules that refuse, `mendable` those of them about something in the message, `counts` those
    by which they did.
    """
    reach = {address: [each.reached, each.members, ""] for address, each in counts.reach.items()}
    tallies = {"unlisted": counts.unlisted, "unconsented": counts.unconsented, "reach": reach}
    columns = counts_to_row(counts) | {"tallies": tallies}
    return {"rules": sorted(lasting), "mendable": sorted(mendable), "counts": columns}


def both(one: Row | None, other: Row | None) -> Row | None:
    """Return two memories as one: the rules of both, and the larger number of people."""
    if one is None or other is None or one == other:
        return one or other
    larger = max(one, other, key=lambda each: each["counts"]["users"] + each["counts"]["external"])
    rules = {name: sorted({*one[name], *other[name]}) for name in ("rules", "mendable")}
    return {**rules, "counts": larger["counts"]}


def remembered_counts(refused: Row) -> Counts:
    """Return how far the part that was refused would have reached."""
    return counts_of(refused["counts"])


def still_refuses(refused: Row, verdict: Verdict, *, is_same: bool) -> bool:
    """Return True where a verdict by the remembered counts refuses for what was remembered.

    Args: `is_same` for a part of the very message that was refused.
    """
    rules = set(refused["rules" if is_same else "mendable"])
    refusing = (reason.rule for reason in verdict.reasons if reason.action is Action.REJECT)
    return verdict.action is Action.REJECT and not rules.isdisjoint(refusing)


def remember(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing, refusal: Row) -> None:
    """Write a refusal to every mailing that the arrival's keys lead to, else to `mailing`, which is new.

    Nobody is counted. What was gathered is judged at once, by the memory. An arrival without keys leaves nothing: no
    later part could be told from other mail.
    """
    if not pending.hashes.keys:
        return
    found = unit.led_to(pending)
    known = {each.id: each for each, _ in found.values()} or {mailing.id: mailing}
    free = {key: kind for key, kind in pending.hashes.keys if key not in found}
    for each in known.values():
        grown = both(each.row["refused"], refusal)
        if grown != each.row["refused"]:
            each.change({"refused": grown, **_judged_at_once(each, pending.now)})
        elif not free:
            continue
        unit.note(each, free)
        free = {}


def _judged_at_once(mailing: ActiveMailing, now: float) -> Row:
    """Return the columns by which what was gathered is judged now; whoever judges it already has to do so again."""
    if mailing.state is not MailingState.GATHERING:
        return {}
    mailing.row["version"] += 1
    mailing.is_grown = True
    return {"gather_until": min(now, mailing.row["gather_until"] or now)}
