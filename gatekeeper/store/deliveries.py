"""To whom a mailing is stored, and what became of it: recipients by parts, answers by domain, how fast the queue is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, and_, cast, func, literal, or_, select

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import UNACKNOWLEDGED, RecipientState
from gatekeeper.store.db.schema import batch_recipients, batches, jobs
from gatekeeper.store.filters import MOST_COUNTED, ListPage
from gatekeeper.store.jobs import RELEASE

_DAY = 86_400.0
_JOBS_READ = 20  # the last ones that were done, by which the pace of the queue is told
_CODE = 9  # characters of a reply that say what it is: "550 5.1.1"
_AT_ONCE = 5_000


@immutable
class KeptRecipient:
    """A recipient of a stored batch of a mailing."""

    batch: int
    position: int
    address: str
    agency: str | None  # None for who is in none, for lists, and where it was not noted
    state: RecipientState
    reply: str
    told_at: float | None


@immutable
class RecipientFilters:
    """Which recipients are looked for; "" for all."""

    agency: str = ""
    state: str = ""


@immutable
class AnswerCount:
    """How many recipients of one domain have one kind of answer; `reply` is one of them."""

    domain: str
    state: RecipientState
    reply: str
    recipients: int


@immutable
class QueuedRelease:
    """A batch of a mailing that waits to be sent."""

    batch: int
    due_at: float
    attempts: int
    error: str


@immutable
class Pace:
    """How fast the queue has sent: recipients, and minutes in which it sent any."""

    recipients: int = 0
    minutes: int = 0

    @property
    def a_minute(self) -> float | None:
        """Recipients a minute; None where nothing was sent."""
        return self.recipients / self.minutes if self.minutes else None


def recipients_of(
    connection: Connection, mailing: int, sought: RecipientFilters, limit: int, after: tuple[int, int] | None
) -> ListPage[KeptRecipient]:
    """Return a part of the recipients of a mailing, in the order in which they came.

    Args: `after` are batch and position of the last one before it.
    """
    chosen = _chosen(mailing, sought)
    rows = _read(connection, chosen, limit + 1, after)
    next = f"{rows[limit - 1].batch}.{rows[limit - 1].position}" if len(rows) > limit else None
    some = _query(chosen).with_only_columns(literal(1)).limit(MOST_COUNTED + 1).subquery()
    number = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return ListPage(rows[:limit], next, int(number))


def all_recipients_of(connection: Connection, mailing: int, sought: RecipientFilters) -> Iterator[KeptRecipient]:
    """Yield all of them."""
    chosen, after = _chosen(mailing, sought), None
    while rows := _read(connection, chosen, _AT_ONCE, after):
        yield from rows
        after = rows[-1].batch, rows[-1].position


def _chosen(mailing: int, sought: RecipientFilters) -> list[ColumnElement[bool]]:
    chosen = [batches.c.mailing_id == mailing, batches.c.state.not_in(UNACKNOWLEDGED)]
    chosen += [batch_recipients.c.agency == sought.agency] if sought.agency else []
    return chosen + ([batch_recipients.c.state == sought.state] if sought.state else [])


def _query(chosen: Iterable[ColumnElement[bool]]) -> Select[Any]:
    return select(batch_recipients).join(batches, batches.c.id == batch_recipients.c.batch_id).where(*chosen)


def _read(
    connection: Connection, chosen: Iterable[ColumnElement[bool]], limit: int, after: tuple[int, int] | None
) -> list[KeptRecipient]:
    table, query = batch_recipients.c, _query(chosen)
    if after is not None:
        batch, position = after
        query = query.where(or_(table.batch_id > batch, and_(table.batch_id == batch, table.position > position)))
        query = query.where(batches.c.id >= batch)
    query = query.order_by(batches.c.id, table.position).limit(limit)
    return [
        KeptRecipient(
            batch=row["batch_id"],
            position=row["position"],
            address=row["address"],
            agency=row["agency"],
            state=RecipientState(row["state"]),
            reply=row["reply"] or "",
            told_at=row["told_at"],
        )
        for row in connection.execute(query).mappings()
    ]


def answers_of(connection: Connection, mailing: int) -> list[AnswerCount]:
    """Return how many recipients of a mailing have which answer, by domain, the most first.

    The database groups what is written alike; the few groups are joined here, whatever the case of their letters.
    """
    found: dict[tuple[str, str, str], tuple[str, int]] = {}
    for domain, state, code, reply, number in connection.execute(_answers(connection, mailing)):
        key = domain.lower(), state, code or ""
        first, sum = found.get(key, (reply or "", 0))
        found[key] = min(first, reply or ""), sum + number
    counts = [AnswerCount(key[0], RecipientState(key[1]), reply, number) for key, (reply, number) in found.items()]
    return sorted(counts, key=lambda each: -each.recipients)


def _answers(connection: Connection, mailing: int) -> Select[Any]:
    table = batch_recipients.c
    domain = domain_of(connection, table.address)
    kinds = domain.label("domain"), table.state, func.substr(table.reply, 1, _CODE).label("code")
    query = select(*kinds, func.min(table.reply), func.count())
    query = query.join(batches, batches.c.id == table.batch_id)
    query = query.where(batches.c.mailing_id == mailing, batches.c.state.not_in(UNACKNOWLEDGED))
    return query.group_by(*kinds)


def domain_of(connection: Connection, address: ColumnElement[str]) -> ColumnElement[str]:
    """Return the domain of an address in SQL, as it is written."""
    if connection.dialect.name == "sqlite":
        return func.substr(address, func.instr(address, "@") + 1)
    return func.split_part(address, "@", 2)


def queued_of(connection: Connection, mailing: int) -> list[QueuedRelease]:
    """Return the batches of a mailing that wait to be sent, the next first."""
    query = select(jobs.c.batch_id, jobs.c.due_at, jobs.c.attempts, jobs.c.error)
    query = query.where(jobs.c.mailing_id == mailing, jobs.c.kind == RELEASE, jobs.c.state == "due")
    found = connection.execute(query.order_by(jobs.c.due_at).limit(MOST_COUNTED + 1))
    return [QueuedRelease(batch, due_at, attempts, error or "") for batch, due_at, attempts, error in found]


def pace_of(connection: Connection, chosen: Sequence[int], since: float) -> Pace:
    """Return how fast the recipients of batches were sent to since then."""
    minute = cast(batch_recipients.c.told_at / 60, Integer)
    query = select(func.count(), func.count(minute.distinct())).where(
        batch_recipients.c.batch_id.in_(chosen),
        batch_recipients.c.told_at >= since,
        batch_recipients.c.state == RecipientState.SENT,
    )
    recipients, minutes = connection.execute(query).one()
    return Pace(recipients, minutes)


def seconds_taken(connection: Connection, sent: Sequence[int]) -> list[float]:
    """Return how long batches took from their release to the last answer of the next hop, the shortest first."""
    told = select(func.max(batch_recipients.c.told_at)).where(batch_recipients.c.batch_id == jobs.c.batch_id)
    query = select(jobs.c.queued_at, told.scalar_subquery()).where(jobs.c.batch_id.in_(sent), jobs.c.kind == RELEASE)
    return sorted(at - queued for queued, at in connection.execute(query) if at is not None and at >= queued)


def last_sent(connection: Connection, now: float) -> list[int]:
    """Return the batches that were sent last, of those of the last 24 hours."""
    query = select(jobs.c.batch_id).where(jobs.c.state == "done", jobs.c.due_at >= now - _DAY, jobs.c.kind == RELEASE)
    return list(connection.execute(query.order_by(jobs.c.due_at.desc()).limit(_JOBS_READ)).scalars())


def batches_sent_of(connection: Connection, mailing: int) -> list[int]:
    """Return batches of a mailing that have gone out, the newest."""
    sent = (batches.c.mailing_id == mailing, batches.c.sent > 0)
    query = select(batches.c.id).where(*sent).order_by(batches.c.id.desc())
    return list(connection.execute(query.limit(_JOBS_READ)).scalars())
