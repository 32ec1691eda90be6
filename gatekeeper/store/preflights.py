"""Questions to the preflight address: the parts of one message, collected until it is answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, delete, select, update

from gatekeeper.lib.immutable import immutable
from gatekeeper.store import jobs
from gatekeeper.store.db.hashing import keyed
from gatekeeper.store.db.schema import jobs as queued
from gatekeeper.store.db.schema import preflights
from gatekeeper.store.db.statements import upsert

_MOST_ADDRESSES = 200_000


@immutable
class PreflightQuestion:
    """One message to the preflight address: everybody whom its parts so far would reach, and how often it was
    answered.
    """

    key: bytes
    addresses: frozenset[str]
    answers: int


def join(connection: Connection, secret: bytes, name: str, addresses: Collection[str], now: float) -> PreflightQuestion:
    """Add a part to the others of that name; nobody else can until the transaction ends."""
    key = keyed(secret, f"preflight:{name}")
    fresh = {"key": key, "addresses": [], "answers": 0, "asked_at": now}
    connection.execute(upsert(connection, preflights).values(**fresh).on_conflict_do_nothing(index_elements=["key"]))
    row = connection.execute(select(preflights).where(preflights.c.key == key).with_for_update()).mappings().one()
    joined = sorted({*row["addresses"], *addresses})[:_MOST_ADDRESSES]
    connection.execute(update(preflights).where(preflights.c.key == key).values(addresses=joined, asked_at=now))
    return PreflightQuestion(key, frozenset(joined), row["answers"])


def answer(connection: Connection, question: PreflightQuestion, job: jobs.NewJob) -> None:
    """Queue the answer, in place of one that has not been sent yet.

    Args: `job` is the notice, without its name.
    """
    current = queued.c.once == _name(question, question.answers)
    waiting = (current, queued.c.state == "due", queued.c.lease_until <= job.queued_at)
    row = connection.execute(select(queued.c.id, queued.c.due_at).where(*waiting).with_for_update()).first()
    if row:
        later = max(row.due_at, job.due_at or job.queued_at)
        connection.execute(update(queued).where(queued.c.id == row.id).values(content=job.content, due_at=later))
        return
    number = question.answers + 1
    jobs.enqueue(connection, replace(job, once=_name(question, number)))
    connection.execute(update(preflights).where(preflights.c.key == question.key).values(answers=number))


def _name(question: PreflightQuestion, number: int) -> str:
    return f"preflight:{question.key.hex()}:{number}"


def forget(connection: Connection, before: float) -> None:
    """Remove questions asked before that time."""
    connection.execute(delete(preflights).where(preflights.c.asked_at < before))
