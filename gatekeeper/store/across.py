"""Count mailings of several senders that share subject and text, without making them one.

Where their sum passes what a rule allows, the batch by which it does opens one held mailing of all of them, the common
mailing, and later batches of that text join it. What each sender's own mailing is does not change (docs/mailings.md).

Not in the sum are mailings that a permit let pass, and mail of somebody whom such a mailing, or with a login any of
these mailings, has reached: a reply or a forward.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    literal,
    or_,
    select,
)

from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Counts
from gatekeeper.store.active_mailing import ActiveMailing
from gatekeeper.store.db.hashing import Hash
from gatekeeper.store.db.schema import mailing_people, mailing_texts, mailings, permit_uses
from gatekeeper.store.db.statements import upsert
from gatekeeper.store.people import PersonRow, hash_person, recount
from gatekeeper.store.rows import counts_of
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def count_across(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing, counts: Counts) -> Counts | None:
    """Return the counts of all mailings of this subject and text together, each person once.

    Returns None where there is no other, or where even their sum is less than any rule asks about. Raises DBAPIError.

    Args: `mailing` is the arrival's own, `counts` are its counts with the arrival in them.
    """
    others = unit.people_across(pending, mailing)
    if not others or sum(others) + counts.people < pending.arrival.least_people:
        return None
    unit.write()
    people = _people(unit.connection, pending, mailing.id) | pending.people
    inside = [person for person in people.values() if person.inside]
    agencies: dict[str, int] = {}
    for person in inside:
        if person.agency is not None:
            agencies[person.agency] = agencies.get(person.agency, 0) + 1
    return Counts(
        users=len(inside),
        external=len(people) - len(inside),
        agencies=agencies,
        lists=counts.lists,
        unresolved=sum(person.unresolved for person in inside),
        unlisted=counts.unlisted,
        unconsented=counts.unconsented,
        reach=counts.reach,
    )


def _people(connection: Connection, pending: PendingDecision, own: int) -> dict[Hash, PersonRow]:
    table = mailing_people
    among = or_(table.c.mailing_id == own, table.c.mailing_id.in_(_sharing(pending)))
    query = select(table.c.person, table.c.inside, table.c.agency, table.c.unresolved).where(among)
    rows = connection.execute(query)
    return {bytes(person): PersonRow(inside, agency, unresolved) for person, inside, agency, unresolved in rows}


def _sharing(pending: PendingDecision, *, by_permit: bool = False) -> Select[Any]:
    """Select the ids of mailings that share the arrival's text: those without a permit, or only those with one."""
    used = exists().where(permit_uses.c.mailing_id == mailings.c.id)
    passed = or_(mailings.c.state == MailingState.RELEASED.value, used)
    query = select(mailings.c.id).join(mailing_texts, mailing_texts.c.mailing_id == mailings.c.id)
    query = query.where(mailing_texts.c.key == pending.hashes.text, mailings.c.started_at > pending.since)
    return query.where(passed if by_permit else ~passed)


# -- replies and forwards ------------------------------------------------------------------------------------------


def is_passed_on(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing) -> bool:
    """Return True for mail of somebody whom mail of this subject and text has reached: a reply or a forward.

    Who sends is believed where a login says so. Without one it must have come to them by a mailing that a permit let
    pass, because anybody can write a name of somebody whom they have reached. Raises DBAPIError.
    """
    unit.write()
    person = hash_person(unit.secret, pending.arrival.source.mailbox)
    table = mailing_people
    among: list[ColumnElement[bool]] = [table.c.mailing_id.in_(_sharing(pending, by_permit=True))]
    if mailing.state is MailingState.RELEASED:
        among.append(table.c.mailing_id == mailing.id)
    if pending.arrival.transaction.login:
        among.append(table.c.mailing_id.in_(_sharing(pending).where(mailings.c.id != mailing.id)))
    query = select(literal(1)).where(table.c.person == person, table.c.reached, or_(*among))
    return unit.connection.execute(query.limit(1)).first() is not None


# -- the common mailing ----------------------------------------------------------------------------------------------


def open_common(unit: UnitOfWork, pending: PendingDecision, own: ActiveMailing) -> ActiveMailing:
    """Open the common mailing of a text; it counts everybody whom the mailings of the text have reached.

    Raises DBAPIError. Args: `own` is the mailing that the arrival would join by itself.
    """
    common = unit.open_common(pending)
    unit.write()
    connection, table = unit.connection, mailing_people
    columns = (table.c.person, table.c.inside, table.c.unresolved, table.c.agency)
    among = and_(or_(table.c.mailing_id == own.id, table.c.mailing_id.in_(_sharing(pending))), table.c.reached)
    people = select(literal(common.id), literal(True), *columns).where(among).distinct()
    names = ["mailing_id", "reached", "person", "inside", "unresolved", "agency"]
    copied = upsert(connection, table).from_select(names, people)
    connection.execute(copied.on_conflict_do_nothing(index_elements=["mailing_id", "person"]))
    common.row |= recount(connection, common.id)
    common.counts = counts_of(common.row)
    common.counts_others = True
    return common
