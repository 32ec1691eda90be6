"""What is due by the schedule of records, and counts of it: never what is still open or on its way."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, CaseState, MailingState, PermitState, RequestState, SuspensionState
from gatekeeper.store.audit_chain import ACTS
from gatekeeper.store.db.schema import (
    audit_blocks,
    audit_chains,
    batches,
    cases,
    jobs,
    mailings,
    permits,
    requests,
    suspensions,
)

_SETTLED = (BatchState.SENT, BatchState.RETURNED, BatchState.WITHDRAWN, BatchState.PASSED)
_OVER: Mapping[str, tuple[str, ...]] = {  # states in which nothing more happens
    "requests": (
        RequestState.UNNEEDED,
        RequestState.DENIED,
        RequestState.WITHDRAWN,
        RequestState.USED,
        RequestState.REVOKED,
        RequestState.EXPIRED,
    ),
    "permits": (PermitState.USED, PermitState.REVOKED, PermitState.EXPIRED),
}


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
        & ~exists().where(own, batches.c.state.not_in(_SETTLED))
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


def count_matters(connection: Connection, age: Age) -> Due:
    """Count mailings, requests, permits, suspensions and cases that were closed before."""
    found = [
        _oldest(connection, mailings.c.started_at, is_over(), mailings.c.changed_at < age.before),
        _oldest(
            connection,
            requests.c.submitted_at,
            requests.c.state.in_(_OVER["requests"]),
            requests.c.changed_at < age.before,
        ),
        _oldest(connection, permits.c.given_at, permits.c.state.in_(_OVER["permits"]), permits.c.until < age.before),
        _oldest(
            connection,
            suspensions.c.given_at,
            or_(suspensions.c.state == SuspensionState.ENDED, suspensions.c.until < age.before),
            suspensions.c.given_at < age.before,
        ),
        _oldest(connection, cases.c.opened_at, cases.c.state == CaseState.CLOSED, cases.c.closed_at < age.before),
    ]
    times = [each.oldest for each in found if each.oldest is not None]
    return Due(sum(each.number for each in found), oldest=min(times, default=None))


def _oldest(connection: Connection, column: ColumnElement[float], *chosen: ColumnElement[bool]) -> Due:
    number, oldest = connection.execute(select(func.count(), func.min(column)).where(*chosen)).one()
    return Due(number, oldest=oldest)


def count_lines(connection: Connection, age: Age, *, acts: bool) -> Due:
    """Count records of decisions, or lines of the chain of acts."""
    of_acts = audit_chains.c.name == ACTS
    query = select(func.coalesce(func.sum(audit_blocks.c.records), 0), func.min(audit_blocks.c.first_at))
    query = query.join(audit_chains, audit_chains.c.id == audit_blocks.c.chain_id)
    chosen = (audit_blocks.c.last_at < age.before, of_acts if acts else ~of_acts)
    number, oldest = connection.execute(query.where(*chosen)).one()
    return Due(int(number), oldest=oldest)
