"""The durable queue: releases, DSNs and notices, leased to the worker that carries them out.

A lease has an end and a fence. A worker that dies leaves its lease to run out; one that was only slow finds that its
fence is old, and can no longer write. A release sends to the recipients of its batch that still wait, so that it can be
cut off anywhere and go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, func, not_, or_, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import BatchState, RecipientState
from gatekeeper.model import Recipient
from gatekeeper.store import tallies
from gatekeeper.store.db.schema import batch_recipients, batches, bodies, jobs, mailings
from gatekeeper.store.db.statements import upsert
from gatekeeper.store.db.wakeup import wake_queues
from gatekeeper.store.rows import mailing_name

RELEASE, DSN, NOTICE = "release", "dsn", "notice"
KINDS = (RELEASE, DSN, NOTICE)
FAILED_SECONDS = 30 * 86_400.0  # for which what was given up is listed
_WAITING, _NOT_SENT = (RecipientState.WAITING,), (RecipientState.REFUSED, RecipientState.EXPIRED)


@immutable
class Job:
    """A leased job. `fence` must still be the row's when its outcome is written."""

    id: int
    kind: str
    fence: int
    attempts: int
    queued_at: float
    due_at: float
    mailing: str | None
    mailing_id: int | None = None
    batch_id: int | None = None
    recipient: str | None = None
    content: bytes | None = field(default=None, repr=False)


@immutable
class Release:
    """A batch on its way: envelope, recipients that still wait, and the digest of its body."""

    batch_id: int
    mailing_id: int
    sender: str
    parameters: tuple[str, ...]
    waiting: tuple[tuple[int, Recipient], ...]  # position and recipient
    body: bytes
    size: int  # octets of the body
    trace: bytes
    listener: str  # the listener that it arrived by
    content_digest: str = ""
    blind: bool = False  # To and Cc are hidden when it is sent


@immutable
class NewJob:
    """A job to be queued, due at once or at `due_at`; of those named `once` only the first is ever queued."""

    kind: str
    queued_at: float
    once: str | None = None
    mailing_id: int | None = None
    batch_id: int | None = None
    recipient: str | None = None
    content: bytes | None = field(default=None, repr=False)
    due_at: float | None = None


def enqueue(connection: Connection, job: NewJob) -> bool:
    """Queue a job; return False where one of its name `once` was queued before."""
    row = {
        "kind": job.kind,
        "once": job.once,
        "mailing_id": job.mailing_id,
        "batch_id": job.batch_id,
        "recipient": job.recipient,
        "content": job.content,
        "state": "due",
        "queued_at": job.queued_at,
        "due_at": job.queued_at if job.due_at is None else job.due_at,
        "attempts": 0,
        "lease_until": 0.0,
        "fence": 0,
    }
    statement = upsert(connection, jobs).values(**row).on_conflict_do_nothing(index_elements=["once"])
    is_new = connection.execute(statement.returning(jobs.c.id)).first() is not None
    if is_new:
        wake_queues(connection)
    return is_new


def queued_of(connection: Connection, names: Collection[str]) -> frozenset[str]:
    """Return those of these names `once` of which a job was queued before."""
    return frozenset(connection.execute(select(jobs.c.once).where(jobs.c.once.in_(names))).scalars())


def enqueue_release(connection: Connection, now: float, *, mailing_id: int, batch_id: int) -> None:
    """Queue the release of a batch. There is one such job a batch; it becomes due again where it was stopped before its
    end.

    A worker that still has it leased goes on with it, so that nobody is sent the message twice.
    """
    name = f"release:{batch_id}"
    if not enqueue(connection, NewJob(RELEASE, now, once=name, mailing_id=mailing_id, batch_id=batch_id)):
        again = update(jobs).where(jobs.c.once == name)
        connection.execute(again.values(state="due", queued_at=now, due_at=now, attempts=0, error=None))


def lease(connection: Connection, now: float, seconds: float, limit: int, in_hand: Collection[int] = ()) -> list[Job]:
    """Lease up to `limit` jobs that are due and not leased, for `seconds`.

    Args: `in_hand` are ids of jobs that the caller works on: their leases are never taken over, whatever the clock
    says.
    """
    due = (
        select(jobs.c.id)
        .where(jobs.c.state == "due", jobs.c.due_at <= now, jobs.c.lease_until <= now, jobs.c.id.not_in(in_hand))
        .where(_in_order(now))
        .order_by(jobs.c.due_at, jobs.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    taken = update(jobs).where(jobs.c.id.in_(ids)).values(lease_until=now + seconds, fence=jobs.c.fence + 1)
    connection.execute(taken)
    query = (
        select(jobs, mailings.c.number)
        .outerjoin(mailings, jobs.c.mailing_id == mailings.c.id)
        .where(jobs.c.id.in_(ids))
        .order_by(jobs.c.id)
    )
    return [_job(row) for row in connection.execute(query).mappings()]


def _in_order(now: float) -> ColumnElement[bool]:
    """Return the condition that no earlier letter about a request to the same reader waits, of a letter about one.

    No other letter waits for one that its reader's server does not take for now: an emergency cannot.
    """
    earlier = jobs.alias()
    theirs = (earlier.c.recipient == jobs.c.recipient, earlier.c.id < jobs.c.id, _is_about_request(earlier))
    waits = (earlier.c.state == "due", or_(earlier.c.due_at <= now, earlier.c.attempts > 0))
    return not_(and_(_is_about_request(jobs), exists().where(*theirs, *waits)))


def _is_about_request(table: Any) -> ColumnElement[bool]:
    """Return the condition of letters about requests, by their names: `approved:1767.000:R-4:ab12`."""
    named = (table.c.once.is_not(None), table.c.once.like("%:R-%"))
    return and_(table.c.kind == NOTICE, table.c.mailing_id.is_(None), *named)


def lapsed_leases(connection: Connection, now: float) -> dict[int, float]:
    """Return the leases that have run out without an outcome: when each ended (seconds since 1970), by job."""
    ran_out = (jobs.c.state == "due", jobs.c.lease_until > 0, jobs.c.lease_until <= now)
    return dict(map(tuple, connection.execute(select(jobs.c.id, jobs.c.lease_until).where(*ran_out))))


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        fence=row["fence"],
        attempts=row["attempts"],
        queued_at=row["queued_at"],
        due_at=row["due_at"],
        mailing=mailing_name(row["number"]),
        mailing_id=row["mailing_id"],
        batch_id=row["batch_id"],
        recipient=row["recipient"],
        content=row["content"],
    )


def still_ours(connection: Connection, job: Job) -> bool:
    """Return True while nobody has leased the job after us; lock it until the transaction ends."""
    query = select(jobs.c.fence).where(jobs.c.id == job.id, jobs.c.state == "due").with_for_update()
    return connection.execute(query).scalar() == job.fence


def extend(connection: Connection, job: Job, until: float) -> bool:
    """Extend a lease to `until`; return False where the lease is no longer ours."""
    query = update(jobs).where(jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.state == "due")
    return connection.execute(query.values(lease_until=until)).rowcount == 1


def finish(connection: Connection, job: Job, error: str | None = None) -> None:
    """End a job: done, or with an `error` failed for good. Content, and for done jobs the recipient, are removed."""
    ended: dict[str, Any] = {
        "state": "failed" if error else "done",
        "error": error,
        "content": None,
        "lease_until": 0.0,
    }
    query = update(jobs).where(jobs.c.id == job.id, jobs.c.fence == job.fence)
    connection.execute(query.values(**ended if error else {**ended, "recipient": None}))


def put_off(connection: Connection, job: Job, due: float, error: str) -> None:
    """Try the job again at `due`."""
    query = update(jobs).where(jobs.c.id == job.id, jobs.c.fence == job.fence)
    connection.execute(query.values(due_at=due, lease_until=0.0, attempts=jobs.c.attempts + 1, error=error[:500]))


def any_put_off(connection: Connection, now: float) -> bool:
    """Return True where a job waits for a further try."""
    return connection.execute(select(jobs.c.id).where(*_put_off(now)).limit(1)).first() is not None


def _put_off(now: float) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.state == "due", jobs.c.lease_until == 0, jobs.c.due_at > now, jobs.c.attempts > 0


def retry(connection: Connection, now: float, number: int | None = None) -> int:
    """Have put-off jobs tried at once, as if for the first time; return how many. Args: `number` is one job's id.

    Not those that somebody works on, or whose lease ran out: whoever goes on there reports from their time on.
    """
    chosen = () if number is None else (jobs.c.id == number,)
    query = update(jobs).where(*_put_off(now), *chosen).values(due_at=now, attempts=0)
    tried = connection.execute(query).rowcount
    if tried:
        wake_queues(connection)
    return tried


# -- releases ----------------------------------------------------------------------------------------------------


def open_release(connection: Connection, batch_id: int) -> Release | None:
    """Return what a release has to send; None where the batch is not, or no longer, released."""
    found = select(batches).where(batches.c.id == batch_id, batches.c.state == BatchState.RELEASED)
    row = connection.execute(found).mappings().first()
    if row is None:
        return None
    query = (
        select(batch_recipients)
        .where(batch_recipients.c.batch_id == batch_id, batch_recipients.c.state == RecipientState.WAITING)
        .order_by(batch_recipients.c.position)
    )
    waiting = tuple(
        (found["position"], Recipient(found["address"], tuple(found["parameters"])))
        for found in connection.execute(query).mappings()
    )
    return Release(
        batch_id=batch_id,
        mailing_id=row["mailing_id"],
        sender=row["sender"],
        parameters=tuple(row["parameters"]),
        waiting=waiting,
        body=bytes(row["body"]),
        size=connection.execute(select(bodies.c.size).where(bodies.c.digest == row["body"])).scalar() or 0,
        trace=bytes(row["trace"]),
        listener=row["listener"],
        content_digest=row["content_digest"],
        blind=any(reason.get("repair") == "blind" for reason in row["reasons"]),
    )


def is_released(connection: Connection, batch_id: int) -> bool:
    """Return True while the batch is released; it stays so until the transaction ends."""
    query = select(batches.c.state).where(batches.c.id == batch_id).with_for_update(read=True)
    return connection.execute(query).scalar() == BatchState.RELEASED


def in_hand(connection: Connection, batch_ids: Collection[int], now: float) -> int:
    """Return how many of these batches are being sent at this moment, stopped or not."""
    leased = and_(jobs.c.batch_id.in_(batch_ids), jobs.c.state == "due", jobs.c.lease_until > now)
    return int(connection.execute(select(func.count()).select_from(jobs).where(leased)).scalar_one())


def record_answers(
    connection: Connection, batch_id: int, answers: Mapping[int, tuple[RecipientState, str]], now: float
) -> None:
    """Write the next hop's last replies about recipients that still wait, by position."""
    table = batch_recipients
    by_answer: dict[tuple[RecipientState, str], list[int]] = {}
    for position, answer in answers.items():
        by_answer.setdefault(answer, []).append(position)
    answered: Counter[RecipientState] = Counter()
    for (state, reply), positions in by_answer.items():
        for start in range(0, len(positions), 500):
            chosen = table.c.position.in_(positions[start : start + 500])
            query = update(table).where(table.c.batch_id == batch_id, chosen, table.c.state == RecipientState.WAITING)
            written = connection.execute(query.values(state=state.value, reply=reply[:500], told_at=now))
            answered[state] += written.rowcount
    tallies.add_answers(connection, batch_id, answered)


def refused_since(connection: Connection, batch_id: int, since: float) -> list[tuple[int, Recipient, str]]:
    """Return the recipients that the next hop has refused for good since then: position, recipient, reply."""
    table = batch_recipients
    query = (
        select(table)
        .where(table.c.batch_id == batch_id, table.c.state == RecipientState.REFUSED, table.c.told_at >= since)
        .order_by(table.c.position)
    )
    found = connection.execute(query).mappings()
    return [(row["position"], Recipient(row["address"], tuple(row["parameters"])), row["reply"]) for row in found]


def close_batch_if_done(connection: Connection, batch_id: int) -> bool:
    """Mark a batch sent once none of its recipients waits; return True where it is."""
    waiting = select(func.count()).where(
        batch_recipients.c.batch_id == batch_id, batch_recipients.c.state == RecipientState.WAITING
    )
    if connection.execute(waiting).scalar_one():
        return False
    connection.execute(update(batches).where(batches.c.id == batch_id).values(state=BatchState.SENT.value))
    return True


# -- listing -----------------------------------------------------------------------------------------------------


def summary(connection: Connection) -> dict[str, int]:
    """Return how many jobs of each kind wait."""
    query = select(jobs.c.kind, func.count()).where(jobs.c.state == "due").group_by(jobs.c.kind)
    return dict.fromkeys(KINDS, 0) | {row[0]: row[1] for row in connection.execute(query)}


def oldest(connection: Connection) -> dict[str, float]:
    """Return when the job of each kind that waits longest was queued; nothing of kinds of which none waits."""
    query = select(jobs.c.kind, func.min(jobs.c.queued_at)).where(jobs.c.state == "due").group_by(jobs.c.kind)
    return {row[0]: row[1] for row in connection.execute(query)}


def waiting_jobs(connection: Connection) -> list[dict[str, Any]]:
    """Return the jobs that wait, oldest first, for `gatekeeper queue`; `recipients` are those not sent to yet."""
    return _listed(connection, jobs.c.state == "due")


def failed_jobs(connection: Connection, since: float) -> list[dict[str, Any]]:
    """Return the jobs that were given up since then, as `waiting_jobs`; `recipients` are those who have got nothing."""
    return _listed(connection, jobs.c.state == "failed", jobs.c.due_at >= since)


def _listed(connection: Connection, *which: ColumnElement[bool]) -> list[dict[str, Any]]:
    query = (
        select(
            jobs,
            mailings.c.number,
            batches.c.sender,
            func.coalesce(bodies.c.size, func.length(jobs.c.content), 0).label("size"),
        )
        .outerjoin(mailings, jobs.c.mailing_id == mailings.c.id)
        .outerjoin(batches, jobs.c.batch_id == batches.c.id)
        .outerjoin(bodies, batches.c.body == bodies.c.digest)
        .where(*which)
        .order_by(jobs.c.id)
    )
    names = (
        "id",
        "kind",
        "state",
        "recipient",
        "queued_at",
        "due_at",
        "attempts",
        "error",
        "sender",
        "size",
        "lease_until",
    )
    return [
        {name: row[name] for name in names}
        | {"mailing": mailing_name(row["number"]), "recipients": _without_mail(connection, row)}
        for row in list(connection.execute(query).mappings())
    ]


def _without_mail(connection: Connection, row: RowMapping) -> list[str]:
    if row["batch_id"] is None:
        return [row["recipient"]] if row["recipient"] else []
    table = batch_recipients
    states = _WAITING if row["state"] == "due" else _NOT_SENT
    theirs = (table.c.batch_id == row["batch_id"], table.c.state.in_(states))
    return list(connection.execute(select(table.c.address).where(*theirs).order_by(table.c.position)).scalars())


def any_due(connection: Connection, now: float) -> bool:
    """Return True where a job is due and not leased; a read that disturbs no writer."""
    query = select(jobs.c.id).where(jobs.c.state == "due", jobs.c.due_at <= now, jobs.c.lease_until <= now).limit(1)
    return connection.execute(query).first() is not None
