"""What the ledger says of a period, for the compliance report: mailings, decisions, requests, permits, deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, CaseState, PreserveState
from gatekeeper.store import audit_rows, audit_verify
from gatekeeper.store.db.schema import (
    IS_MASS,
    audit_blocks,
    batch_recipients,
    batches,
    cases,
    disposals,
    events,
    mailings,
    permit_scopes,
    permits,
    preserves,
    requests,
    suspensions,
)
from gatekeeper.store.deliveries import domain_of
from gatekeeper.store.disposals import list_destroyed
from gatekeeper.store.tallies import NOTHING, tallies_of
from gatekeeper.store.views import NUMBERED

_DECIDED = ("approved", "approved in part", "denied", "returned", "changes asked", "withdrawn", "expired")
_ASKED_AGAIN = ("submitted", "submitted again", "appealed")
_ON_ITS_WAY = (BatchState.RELEASED, BatchState.SENT)
_AT_ONCE = 500


@immutable
class Period:
    """From when until when, in seconds since 1970, both included; of the senders of one agency, None for all."""

    since: float
    until: float
    agency: str | None = None

    def covers(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether a time is in the period."""
        return column.between(self.since, self.until)


@immutable
class ReportedMailing:
    """A mailing to many, or a held one, that began in the period."""

    id: str
    started_at: float
    agency: str | None
    users: int
    external: int
    agencies: Mapping[str, int]
    lists: tuple[str, ...]
    relayed: int  # people reached without a stop
    sent: int  # recipients of what was kept

    @property
    def reached(self) -> int:
        """Whom it reached."""
        return self.relayed + self.sent


@immutable
class Decided:
    """What somebody, or the time, decided in the period."""

    kind: str  # mailing, request
    act: str
    category: str  # of a denial
    seconds: float | None  # since it was held, or submitted; None where that is not on its timeline


@immutable
class InForce:
    """What was asked for and given in the period, and what was in force at its end."""

    requests: int
    late_requests: int
    emergencies: int
    exceptions: int
    suspended: int
    suspensions: int


@immutable
class DomainAnswers:
    """Recipients of one domain by what became of them."""

    domain: str
    state: str
    recipients: int


@immutable
class Integrity:
    """Whether what was recorded is what was written, and since when there is anything."""

    chains: int
    records: int
    problems: tuple[str, ...]
    recorded_from: float | None


@immutable
class RecordsUsed:
    """What records were used for: open cases and holds that people know of, and what was done in the period."""

    cases: int
    holds: int
    searches: int
    exports: int
    destroyed: int  # messages
    certificates: tuple[str, ...]  # of what was destroyed in the period


def records_used(connection: Connection, period: Period) -> RecordsUsed:
    """Count what records were used for. Silent holds are known to nobody who reads a report."""
    done = (period.covers(events.c.at), events.c.case_id.is_not(None))
    query = select(disposals.c.number).where(period.covers(disposals.c.done_at))
    numbers = set(connection.execute(query).scalars())
    gone = [each for each in reversed(list_destroyed(connection)) if each.number in numbers]
    told = (preserves.c.state == PreserveState.IN_FORCE, ~preserves.c.silent)
    return RecordsUsed(
        cases=_count(connection, cases, [cases.c.state == CaseState.OPEN]),
        holds=_count(connection, preserves, told),
        searches=_count(connection, events, [*done, events.c.act == "searched"]),
        exports=_count(connection, events, [*done, events.c.act == "exported"]),
        destroyed=sum(each.items for each in gone if each.is_of_content),
        certificates=tuple(each.id for each in gone),
    )


def reported_mailings(connection: Connection, period: Period) -> list[ReportedMailing]:
    """Return the mailings to many, and the held ones, that began in the period."""
    query = select(mailings).where(*NUMBERED, period.covers(mailings.c.started_at), mailings.c.sender.is_not(None))
    query = query.where(or_(IS_MASS, mailings.c.held_at.is_not(None)), *_of_agency(mailings.c.agency, period))
    rows = connection.execute(query.order_by(mailings.c.number)).mappings().all()
    tallies: dict[int, Any] = {}
    for some in _parts([row["id"] for row in rows]):
        tallies |= tallies_of(connection, some)
    return [
        ReportedMailing(
            id=f"M-{row['number']}",
            started_at=row["started_at"],
            agency=row["agency"],
            users=row["users"],
            external=row["external"],
            agencies=dict(row["agencies"]),
            lists=tuple(row["lists"]),
            relayed=row["relayed"],
            sent=tallies.get(row["id"], NOTHING).sent,
        )
        for row in rows
    ]


def _of_agency(column: ColumnElement[Any], period: Period) -> list[ColumnElement[bool]]:
    return [] if period.agency is None else [column == period.agency]


def _parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def decided(connection: Connection, period: Period) -> list[Decided]:
    """Return what was decided of mailings and requests in the period."""
    return [
        *_decided(connection, period, mailings, ("held",)),
        *_decided(connection, period, requests, _ASKED_AGAIN),
    ]


def _decided(connection: Connection, period: Period, table: Any, begun: tuple[str, ...]) -> Iterator[Decided]:
    kind, earlier = table.name.removesuffix("s"), events.alias()
    column = events.c[f"{kind}_id"]
    same = earlier.c[f"{kind}_id"] == column
    since = select(func.max(earlier.c.at)).where(same, earlier.c.id < events.c.id, earlier.c.act.in_(begun))
    query = select(events.c.act, events.c.details, events.c.at, since.scalar_subquery()).join(
        table, table.c.id == column
    )
    query = query.where(events.c.act.in_(_DECIDED), period.covers(events.c.at), *_of_agency(table.c.agency, period))
    for act, details, at, began in connection.execute(query):
        seconds = None if began is None else at - began
        yield Decided(kind, act, (details or {}).get("category", ""), seconds)


def in_force(connection: Connection, period: Period) -> InForce:
    """Count what was asked for and given in the period, and what was in force at its end."""
    asked = [period.covers(requests.c.submitted_at), *_of_agency(requests.c.agency, period)]
    of_permit = [] if period.agency is None else [_is_for(period.agency)]
    given = [period.covers(permits.c.given_at), permits.c.kind == "emergency", *of_permit]
    standing = [*_stood(permits, events.c.permit_id, "revoked", period), permits.c.kind == "exception", *of_permit]
    stopped = [] if period.agency is None else [suspensions.c.name == period.agency, suspensions.c.kind == "agency"]
    suspended = [*_stood(suspensions, events.c.suspension_id, "ended", period), *stopped]
    return InForce(
        requests=_count(connection, requests, asked),
        late_requests=_count(connection, requests, [*asked, requests.c.late]),
        emergencies=_count(connection, permits, given),
        exceptions=_count(connection, permits, standing),
        suspended=_count(connection, suspensions, [period.covers(suspensions.c.given_at), *stopped]),
        suspensions=_count(connection, suspensions, suspended),
    )


def _is_for(agency: str) -> ColumnElement[bool]:
    scope = permit_scopes.c.permit_id == permits.c.id, permit_scopes.c.kind == "agency", permit_scopes.c.name == agency
    return exists().where(*scope)


def _stood(table: Any, column: ColumnElement[Any], ended: str, period: Period) -> list[ColumnElement[bool]]:
    """Return the conditions of what was in force at the end of the period, whatever became of it since."""
    over = exists().where(column == table.c.id, events.c.act == ended, events.c.at <= period.until)
    return [table.c.given_at <= period.until, table.c.until > period.until, ~over]


def _count(connection: Connection, table: Any, chosen: Iterable[ColumnElement[bool]]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*chosen)).scalar_one())


def answers_of_period(connection: Connection, period: Period) -> list[DomainAnswers]:
    """Return the recipients of kept mail of the period that was released, by domain and what became of them (T10)."""
    kinds = domain_of(connection, batch_recipients.c.address).label("domain"), batch_recipients.c.state
    kept = and_(batches.c.id == batch_recipients.c.batch_id, batches.c.state.in_(_ON_ITS_WAY))
    query = select(*kinds, func.count()).join(batches, kept).join(mailings, mailings.c.id == batches.c.mailing_id)
    query = query.where(period.covers(batches.c.received_at), *_of_agency(mailings.c.agency, period))
    found: dict[tuple[str, str], int] = {}
    for domain, state, number in connection.execute(query.group_by(*kinds)):
        found[domain.lower(), state] = found.get((domain.lower(), state), 0) + number
    return [DomainAnswers(*key, number) for key, number in sorted(found.items())]


def integrity(connection: Connection) -> Integrity:
    """Verify all but the octets of messages, as `audit verify` does."""
    audit_verify.fix_moment(connection)
    chains, problems = audit_rows.verify_all(connection)
    problems = [f"chain {one.id}: {one.problem}" for one in chains if one.problem] + problems
    oldest = connection.execute(select(func.min(audit_blocks.c.first_at))).scalar()
    records = sum(one.records - one.aged_out for one in chains)
    return Integrity(len(chains), records, tuple(problem for problem in problems if problem), oldest)
