"""What the queue has given up: mail that nobody has got and nobody was told of stays listed as failed."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select, update

from gatekeeper.lifecycle import RecipientState
from gatekeeper.store.db.schema import batch_recipients, batches, jobs
from gatekeeper.store.jobs import DSN, RELEASE
from gatekeeper.store.tallies import COUNTED

UNDELIVERABLE = "undeliverable"  # how the names of reports about a release begin (`jobs.once`)
_NOT_SENT = (RecipientState.REFUSED, RecipientState.EXPIRED)


def untold_answer(connection: Connection, mailing_id: int, batch_id: int) -> str | None:
    """Return the last answer about recipients of a batch whose end is reported to nobody; None where there are none.

    A null sender can be told nothing. A sender who wants no reports (NOTIFY=NEVER) is taken at their word, unless the
    batch has gone to nobody at all.
    """
    row = connection.execute(
        select(batches.c.sender, COUNTED[RecipientState.SENT]).where(batches.c.id == batch_id)
    ).one()
    if row[0] and row[1]:
        return None
    named = jobs.c.once.like(f"{UNDELIVERABLE}:{batch_id}:%")
    if connection.execute(select(exists().where(jobs.c.mailing_id == mailing_id, jobs.c.kind == DSN, named))).scalar():
        return None
    table = batch_recipients.c
    query = select(table.reply).where(table.batch_id == batch_id, table.state.in_(_NOT_SENT))
    reply = connection.execute(query.order_by(table.position.desc()).limit(1)).first()
    return None if reply is None else reply[0] or "no answer"


def fail_releases(connection: Connection, mailing_id: int) -> int:
    """Mark the releases of a mailing failed that ended with recipients refused; return their number.

    For when the report about these cannot be delivered either.
    """
    table = batch_recipients.c
    refused = exists().where(table.batch_id == jobs.c.batch_id, table.state.in_(_NOT_SENT))
    answer = select(table.reply).where(table.batch_id == jobs.c.batch_id, table.state.in_(_NOT_SENT))
    answer = answer.order_by(table.position.desc()).limit(1)
    ended = (jobs.c.mailing_id == mailing_id, jobs.c.kind == RELEASE, jobs.c.state == "done", refused)
    changes = {"state": "failed", "error": answer.scalar_subquery()}
    return connection.execute(update(jobs).where(*ended).values(**changes)).rowcount
