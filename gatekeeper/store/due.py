"""What is due by the schedule of records, and counts of it: never what is still open or on its way."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Select, exists, func, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, MailingState
from gatekeeper.store.audit_chain import ACTS
from gatekeeper.store.db.schema import (
    audit_blocks,
    audit_chains,
    batches,
    jobs,
    mailings,
)

SETTLED = (BatchState.SENT, BatchState.RETURNED, BatchState.WITHDRAWN, BatchState.PASSED)


@immutable
class Age:
    """Before when something must have come, or have been closed, to be due."""

    before: float
    closed: bool  # since when it was closed, else since it came


@immutable
class Due:
    """How much of a class is due, and since when the oldest of it is there."""

    number: int
    octets: int = 0
    oldest: float | None = None


NOTHING_DUE = Due(0)


def is_over() -> ColumnElement[bool]:
    """Return the condition that nothing more happens to a mailing: it is decided, and on its way to nobody."""
    own = batches.c.mailing_id == mailings.c.id
    return (
        mailings.c.state.not_in((MailingState.HELD, MailingState.GATHERING))
        & mailings.c.merged_into.is_(None)
        & mailings.c.number.is_not(None)
        & ~exists().where(own, batches.c.state.not_in(SETTLED))
        & ~exists().where(jobs.c.mailing_id == mailings.c.id, jobs.c.state == "due")
    )


def has_content() -> ColumnElement[bool]:
    """Return the condition that messages of a mailing are still here."""
    return exists().where(batches.c.mailing_id == mailings.c.id, batches.c.body != b"")


def contents_due(age: Age, *, passed: bool) -> Select[int]:
    """Select the keys of mailings whose content is due: of those that passed, or of those that were held or refused."""
    has_passed = mailings.c.held_at.is_(None) & mailings.c.state.in_((MailingState.OPEN, MailingState.RELEASED))
    young = exists().where(batches.c.mailing_id == mailings.c.id, batches.c.received_at >= age.before)
    aged = mailings.c.changed_at < age.before if age.closed else ~young
    of_class = has_passed if passed else ~has_passed
    return select(mailings.c.id).where(is_over(), has_content(), of_class, aged)


def count_contents(connection: Connection, age: Age, *, passed: bool) -> Due:
    """Count mailings whose content is due, and the octets of it."""
    keys = contents_due(age, passed=passed).subquery()
    number, oldest = connection.execute(
        select(func.count(), func.min(mailings.c.started_at)).where(mailings.c.id.in_(select(keys.c.id)))
    ).one()
    each = select(batches.c.body, batches.c.size).where(batches.c.mailing_id.in_(select(keys.c.id))).distinct()
    octets = connection.execute(select(func.coalesce(func.sum(each.subquery().c.size), 0))).scalar_one()
    return Due(number, int(octets), oldest)


def count_lines(connection: Connection, age: Age) -> Due:
    """Count records of decisions."""
    query = select(func.coalesce(func.sum(audit_blocks.c.records), 0), func.min(audit_blocks.c.first_at))
    query = query.join(audit_chains, audit_chains.c.id == audit_blocks.c.chain_id)
    chosen = (audit_blocks.c.last_at < age.before, audit_chains.c.name != ACTS)
    number, oldest = connection.execute(query.where(*chosen)).one()
    return Due(int(number), oldest=oldest)
