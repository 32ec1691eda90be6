"""Count mailings of several senders that share subject and text, without making them one.

Where their sum passes what a rule allows, the batch by which it does opens one held mailing of all of them, the common
mailing, and later batches of that text join it. What each sender's own mailing is does not change (docs/mailings.md).

Not in the sum are mailings that a permit let pass, and mail of somebody whom such a mailing, or with a login any of
these mailings, has reached: a reply or a forward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    Select,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import MailingState
from gatekeeper.model import Counts
from gatekeeper.store.active_mailing import ActiveMailing
from gatekeeper.store.db.hashing import Hash, read_secret
from gatekeeper.store.db.schema import mailing_keys, mailing_people, mailings, permit_uses, shared_keys
from gatekeeper.store.db.statements import upsert
from gatekeeper.store.mailing_keys import COMMON, hash_text, places_of
from gatekeeper.store.people import PersonRow, hash_person, recount
from gatekeeper.store.rows import counts_of
from gatekeeper.store.unit_of_work import PendingDecision, UnitOfWork


def most_across(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing, counts: Counts) -> Counts | None:
    """Return the most that `count_across` may return: the sum of all mailings of the text, for which nobody is read.

    Returns None where even that is less than any rule asks about. Raises DBAPIError. Args: as of `count_across`.
    """
    if sum(unit.people_across(pending, mailing)) + counts.people < pending.arrival.least_people:
        return None
    unit.write()
    query = select(mailings.c.users, mailings.c.external, mailings.c.unresolved, mailings.c.agencies)
    query = query.where(mailings.c.id.in_(_sharing(pending)), mailings.c.id != mailing.id)
    users, external, unresolved, agencies = counts.users, counts.external, counts.unresolved, Counter(counts.agencies)
    for row in unit.connection.execute(query):
        users, external, unresolved = users + row.users, external + row.external, unresolved + row.unresolved
        agencies.update(row.agencies)
    return replace(counts, users=users, external=external, unresolved=unresolved, agencies=dict(agencies))


def count_across(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing, counts: Counts) -> Counts:
    """Return the counts of all mailings of the arrival's text together, each person once. Raises DBAPIError.

    Args: `mailing` is the arrival's own, `counts` are its counts with the arrival in them.
    """
    unit.write()
    people = _people(unit.connection, mailing.id, _sharing(pending))
    return _counts(people | pending.people, counts)


@immutable
class SharedTexts:
    """The texts of a gathered mailing, which mailings of other senders may share."""

    texts: frozenset[str]  # as `message.mailing_keys.shared_text` returns them; "" is none
    since: float  # mailings begun before do not count
    least_people: int  # below this sum no rule about counts matches


def count_gathered_across(connection: Connection, mailing_id: int, own: Counts, shared: SharedTexts) -> Counts:
    """Return the counts of a gathered mailing together with all that share a text of it; its own where they are few.

    Raises DBAPIError.
    """
    secret = read_secret(connection)
    keys = [hash_text(secret, text) for text in sorted(shared.texts - {""})]
    among = _without_permit(shared_keys.c.key.in_(keys), shared.since)
    total = select(func.sum(mailings.c.users + mailings.c.external)).where(mailings.c.id.in_(among))
    if not keys or (connection.execute(total).scalar() or 0) < max(shared.least_people, own.people + 1):
        return own
    return _counts(_people(connection, mailing_id, among), own)


def _counts(people: Mapping[Hash, PersonRow], own: Counts) -> Counts:
    inside = [person for person in people.values() if person.inside]
    agencies = Counter(person.agency for person in inside if person.agency is not None)
    unresolved = sum(person.unresolved for person in inside)
    users, external = len(inside), len(people) - len(inside)
    return replace(own, users=users, external=external, agencies=dict(agencies), unresolved=unresolved)


def _people(connection: Connection, own: int, among: Select[Any]) -> dict[Hash, PersonRow]:
    table = mailing_people
    query = select(table.c.person, table.c.inside, table.c.agency, table.c.unresolved)
    rows = connection.execute(query.where(or_(table.c.mailing_id == own, table.c.mailing_id.in_(among))))
    return {bytes(person): PersonRow(inside, agency, unresolved) for person, inside, agency, unresolved in rows}


def _sharing(pending: PendingDecision) -> Select[Any]:
    return _without_permit(shared_keys.c.key == pending.hashes.text, pending.since)


def _without_permit(of_text: ColumnElement[bool], since: float) -> Select[Any]:
    """Select the ids of mailings of these texts that no permit has let pass."""
    return _of_text(of_text, since).where(~_BY_PERMIT)


def _of_text(of_text: ColumnElement[bool], since: float) -> Select[Any]:
    query = select(mailings.c.id).join(shared_keys, shared_keys.c.mailing_id == mailings.c.id)
    return query.where(of_text, mailings.c.started_at > since)


_BY_PERMIT = or_(
    mailings.c.state == MailingState.RELEASED.value, exists().where(permit_uses.c.mailing_id == mailings.c.id)
)


# -- replies and forwards ------------------------------------------------------------------------------------------


def is_passed_on(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing) -> bool:
    """Return True for mail of somebody whom mail of this subject and text has reached: a reply or a forward.

    Who sends is believed where a login says so. Without one it must have come to them by a mailing that a permit let
    pass, because anybody can write a name of somebody whom they have reached. Raises DBAPIError.
    """
    unit.write()
    table, person = mailing_people, _sender(unit, pending)
    by_permit = _of_text(shared_keys.c.key == pending.hashes.text, pending.since).where(_BY_PERMIT)
    among: list[ColumnElement[bool]] = [table.c.mailing_id.in_(by_permit)]
    if mailing.state is MailingState.RELEASED:
        among.append(table.c.mailing_id == mailing.id)
    if pending.arrival.transaction.login:
        among.append(table.c.mailing_id.in_(_sharing(pending).where(mailings.c.id != mailing.id)))
    query = select(literal(1)).where(table.c.person == person, table.c.reached, or_(*among))
    return unit.connection.execute(query.limit(1)).first() is not None


def is_of_recipient(unit: UnitOfWork, pending: PendingDecision, mailing: ActiveMailing) -> bool:
    """Return True for mail of somebody whom this mailing has reached, believed as in `is_passed_on`.

    Raises DBAPIError.
    """
    unit.write()
    table = mailing_people
    query = select(literal(1)).where(
        table.c.mailing_id == mailing.id, table.c.person == _sender(unit, pending), table.c.reached
    )
    if not pending.arrival.transaction.login:
        query = query.join(mailings, mailings.c.id == table.c.mailing_id).where(_BY_PERMIT)
    return unit.connection.execute(query.limit(1)).first() is not None


def _sender(unit: UnitOfWork, pending: PendingDecision) -> Hash:
    return hash_person(unit.secret, places_of(pending.arrival.source)[0].user)


# -- the common mailing ----------------------------------------------------------------------------------------------


def open_common(unit: UnitOfWork, pending: PendingDecision, own: ActiveMailing) -> ActiveMailing:
    """Open the common mailing of a text; it counts everybody whom the mailings of the text count.

    Raises DBAPIError. Args: `own` is the mailing that the arrival would join by itself.
    """
    unit.begin_merge()
    common = unit.open_common(pending)
    unit.write()
    connection, table = unit.connection, mailing_people
    person = (table.c.person, table.c.inside, table.c.unresolved, table.c.agency)
    reached = cast(func.max(cast(table.c.reached, Integer)), Boolean)  # by any of them
    query = select(literal(common.id), *person, reached)
    query = query.where(or_(table.c.mailing_id == own.id, table.c.mailing_id.in_(_sharing(pending)))).group_by(*person)
    names = ["mailing_id", "person", "inside", "unresolved", "agency", "reached"]
    copied = upsert(connection, table).from_select(names, query)
    connection.execute(copied.on_conflict_do_nothing(index_elements=["mailing_id", "person"]))
    common.row |= recount(connection, common.id)
    common.counts = counts_of(common.row)
    common.counts_others = True
    return common


def is_common(connection: Connection, mailing_id: int) -> bool:
    """Return True for a mailing of several senders that share a text, which counts whom the mail of each has reached.

    Once it is closed its keys are gone, and with them the answer.
    """
    key = select(mailing_keys.c.key).where(mailing_keys.c.mailing_id == mailing_id, mailing_keys.c.kind == COMMON)
    return connection.execute(key.limit(1)).first() is not None
